"""Building a benchmark of depth order from photographs, the way DA-2K was built (arXiv 2406.09414, section 6.2)."""
