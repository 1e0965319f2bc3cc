"""The record of the harness as a table of the README: `python -m tests.faults.summarise`."""

import json
from pathlib import Path

from lmodp.records.record import versions, write_bytes, write_json
from tests.contracts.small_world import ROOT
from tests.faults.world import SEED, TALLY

PLACE = ROOT / "benchmarks/results/faults.json"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


def totals(lines):
    """Counts by kind, in the order in which kinds first came."""
    found: dict[str, dict[str, int]] = {}
    for line in lines:
        what = found.setdefault(line["what"], {"tried": 0, "same_bytes": 0, "refused": 0})
        for name in what:
            what[name] += line.get(name, 0)
    return dict(sorted(found.items()))


def together(found):
    """The kinds of damage as one row."""
    damaged = {what: counts for what, counts in found.items() if what.startswith("damage: ")}
    name = f"damage of a file that a stage reads, {len(damaged)} kinds"
    summed = {key: sum(counts[key] for counts in damaged.values()) for key in ("tried", "same_bytes", "refused")}
    return {**({name: summed} if damaged else {}), **{what: n for what, n in found.items() if what not in damaged}}


def markdown(found):
    head = [
        "| disturbance | tried | undisturbed bytes, or an answer | refused with a reason |",
        "| --- | ---: | ---: | ---: |",
    ]
    rows = [
        f"| {what} | {n['tried']:,} | {n['same_bytes']:,} | {n['refused']:,} |" for what, n in together(found).items()
    ]
    return "\n".join([*head, *rows]) + "\n"


def block(found):
    """The README's lines between its markers."""
    return f"{BEGIN}\n{markdown(found)}{END}"


def main(tally: Path = TALLY, place: Path = PLACE, readme: Path = ROOT / "README.md") -> None:
    found = totals(map(json.loads, tally.read_text(encoding="utf-8").splitlines()))
    packages = ("torch", "transformers", "numpy", "snakemake")
    write_json(place, {"seed": SEED, "versions": versions(packages), "counts": found})
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    write_bytes(readme, (before + block(found) + rest.partition(END)[2]).encode())
    print(markdown(found))


if __name__ == "__main__":
    main()
