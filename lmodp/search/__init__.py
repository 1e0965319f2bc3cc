"""The offline noise search: search spaces, a grid search, a continuous search, and few numbers."""

from lmodp.search.grid_search import SearchResult, find_noise
from lmodp.search.optimise import OptimisedNoise, optimise_noise

__all__ = ["OptimisedNoise", "SearchResult", "find_noise", "optimise_noise"]
