"""The offline noise search: search spaces, a grid search, a continuous search, and the map of wins."""

from lmodp.search.grid_search import SearchResult, find_noise
from lmodp.search.optimise import OptimisedNoise, optimise_noise
from lmodp.search.win_map import win_map

__all__ = ["OptimisedNoise", "SearchResult", "find_noise", "optimise_noise", "win_map"]
