"""The landscape: every point of the published space, and how many qualify under each accountant."""

import numpy as np
import pandas as pd

from lmodp.search.grid_search import find_noise
from lmodp.stages.map_space import map_space


def test_the_points_and_the_counts_are_those_of_the_searches(tmp_path):
    spec = {"space": "published", "delta": 1e-10, "epsilon": [0.3, 3.0]}
    record = map_space(spec, points_file=tmp_path / "a" / "points.parquet")
    points = pd.read_parquet(tmp_path / "a" / "points.parquet")
    assert record["points"] == len(points) == 40824
    assert record["qualifying"][0] == {"epsilon": 0.3, "claimed": 726, "paper_bound": 0, "verified": 0}
    assert (
        record["qualifying"][1]["claimed"]
        > record["qualifying"][1]["paper_bound"]
        > 0
        < record["qualifying"][1]["verified"]
    )
    for accountant in ("claimed", "paper_bound"):
        found = find_noise("published", accountant=accountant, objective="epsilon", epsilon=3.0, delta=1e-10)
        assert found.qualifying == record["qualifying"][1][accountant]
        assert np.array_equal(points[f"step_{accountant}"], found.trace["epsilon"].astype(np.float32))
        assert np.array_equal(points["std"], found.trace["std"].astype(np.float32))
        assert points["gamma_scale"][found.point] == np.float32(found.noise.gamma.scale)
