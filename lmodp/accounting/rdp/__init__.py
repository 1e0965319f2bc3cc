"""Numerics of Renyi divergences: exact moments of a shifted law, and the supremum over shifts."""
