"""Numerics of privacy loss distributions: bounds on both sides by lattices and convolution."""
