"""Inputs that examine a run: canaries, samples for audits, and steps whose gradients are all zero."""
