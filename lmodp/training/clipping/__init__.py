"""Clipped sums of per-example gradients from one forward and one backward pass (ghost clipping, book-keeping)."""
