"""The runs of one cell on several processes: how they are started, and what each of them does.

They leave finished runs in the cache, as one process does. The job that started them goes on from there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lmodp.errors import Fault, RankLost
from lmodp.pipeline.layout import Layout
from lmodp.records.places import mechanism_path
from lmodp.records.record import read_json, read_record, write_json
from lmodp.vocabulary import OWN_ENGINE

if TYPE_CHECKING:
    from lmodp.stages.cell_runs import CellRuns

DIED = re.compile(r"rank +: (\d+).*?exitcode +: (-?\d+)", re.DOTALL)


def train_in_ranks(layout: Layout, runs: CellRuns) -> None:
    """Train the runs of a cell that are not finished on as many processes as the configuration says, if on several.

    Raises:
        RankLost: a process ended; the others were ended too. A further start goes on from the checkpoint.
    """
    cell, count = runs.cell, layout.config.processes
    if count == 1 or cell.spec.engine != OWN_ENGINE or all(map(runs.finished, range(cell.repetitions))):
        return
    file = runs.folder / "asked.json"
    write_json(file, {"config": layout.config.model_dump(mode="json", by_alias=True), "cell": cell.id})
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    done = subprocess.run([*command, "-m", __name__, str(file)], capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, flush=True)
    if done.returncode:
        found = DIED.search(done.stderr.partition("Root Cause")[2])
        which = f"rank {found[1]} ended with exit code {found[2]}" if found else "a rank ended"
        remedy = "Its log says more. Start again: the run goes on from its checkpoint."
        raise RankLost(str(Fault("processes", count, which, remedy)))


def main() -> None:
    """Train the runs of a cell, as one of several ranks."""
    from lmodp.pipeline.job import runs_of
    from lmodp.stages.finetune_model import finetune_model
    from lmodp.training.ranks import join

    asked = read_json(Path(sys.argv[1]))
    layout = Layout.from_values(asked["config"])
    cell = layout.grid.cell(asked["cell"])
    join(layout.config.device)
    certificate = read_record(mechanism_path(layout.results, cell.mechanism, "certify_mechanism"))
    finetune_model(cell, runs_of(layout, cell), certificate, method=layout.grid.methods[cell.spec.method])


if __name__ == "__main__":
    main()
