"""da2k: build depth-ordering benchmarks and score depth models on them."""

__version__ = "0.1.0"
