"""What the processes of the methods in `methods/` do in a job of SLURM; elsewhere these train as any Gaussian.

It happens after a checkpoint of the run, so that there is something to go on from.
"""

import os
import signal
from pathlib import Path

GREED = 1_000_000_000  # bytes; more than the first request has to spare, less than the second
HELD = []


def save_and_misbehave(path, state, *, identity):
    """Write the checkpoint, then do what the method's name says."""
    SAVE(path, state, identity=identity)
    marker = Path(f"{path}.happened")
    if "-greedy-" in marker.name and not HELD:
        HELD.append(b"x" * GREED)
    if ("-hangs-" in marker.name or "-dies-" in marker.name) and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSTOP)


if "SLURM_JOB_ID" in os.environ:
    from lmodp.training import loop

    SAVE, loop.save_checkpoint = loop.save_checkpoint, save_and_misbehave
