"""Numerics of privacy loss distributions: lower and upper bounds by lattices and convolution."""
