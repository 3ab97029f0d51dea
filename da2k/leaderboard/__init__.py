"""Submissions that anyone can check, rows on a board, ranks that the pairs support, and pages made of them."""
