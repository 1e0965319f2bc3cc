"""Numerics of Renyi divergences: exact moments of a shifted law, and their supremum over shifts."""
