"""Estimates the cost of a grid (parameters, memory, hours) without weights and without a run."""
