"""What a run of the default grid is expected to find: one run's numbers, and each score's range on other processors.

    python benchmarks/expected.py RESULTS OTHER_RESULTS ...

The folders hold the same grid, run whole with other instruction sets or on other machines (results/README.md says
how). The first one's table becomes results/published-GRID, with which `lmodp diff` compares; "seen" holds the lowest
and the highest mean of each score.
"""

import sys
from pathlib import Path

from lmodp.records.record import read_record, sealed, write_json
from lmodp.reporting.results.difference import compare_results, expected

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Join the folders and say where their privacy answers differ, which they must not."""
    runs = [read_record(Path(folder) / "tables/results.json") for folder in sys.argv[1:]]
    joined = expected(runs)
    path = ROOT / f"results/published-{joined['grid']}/tables/results.json"
    write_json(path, sealed(joined))
    for run in runs[1:]:
        for item in compare_results(joined, run):
            if item["differs"]:
                print(item["name"], item["text"])
    print(f"{path.relative_to(ROOT)}: {len(joined['cells'])} cells of {len(runs)} runs")


if __name__ == "__main__":
    main()
