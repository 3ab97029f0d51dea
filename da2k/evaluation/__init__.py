"""A model and a benchmark become a result; results become a comparison."""
