"""The benchmarks' files: where they come from, how they get here, and how they are read."""
