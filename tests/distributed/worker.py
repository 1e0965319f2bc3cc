"""One rank of a small run: ``torchrun worker.py FILE``; FILE says what differs from `tests.unit.training.small`."""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from lmodp.errors import LmodpError
from lmodp.mechanisms.releases import Banded, Differences, Quantile, Releases
from lmodp.training import loop, train
from lmodp.training.noise import DeviceNoise
from lmodp.training.ranks import join
from lmodp.training.run_log import RunLog
from tests.unit.training.small import arguments, make_model

RELEASES = {
    "gradient": Releases(),
    "quantile": Releases(clip=Quantile()),
    "differences": Releases(step=Differences(directions=2)),
    "banded": Releases(correlation=Banded(coefficients=(0.8, 0.6))),
}


class Recorder:
    """Keeps what a step releases before its noise is added."""

    def __init__(self):
        self.sums = []

    def before_noise(self, step, parameters):
        self.sums.append(torch.cat([value.grad.flatten() for value in parameters]).double().tolist())

    def after_noise(self, step, parameters, scale):
        pass

    def state(self):
        return {"sums": self.sums}

    def restore(self, state):
        self.sums = state["sums"]


def main():
    asked = json.loads(Path(sys.argv[1]).read_text())
    ranks = join("cpu")
    torch.set_num_threads(1)
    found = {name: case(ranks, **values) for name, values in asked["cases"].items()}
    if ranks.is_first:
        Path(asked["out"]).write_text(json.dumps(found))


def case(ranks, **asked):
    """Do one run; return what this rank saw, or the message for the user."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            return one_run(ranks, patch, **asked)
        except LmodpError as error:
            return {"error": str(error)}


def one_run(ranks, patch, *, changes=None, releases="gradient", dropout=0.0, checkpoint=None, fault=""):
    """Train; the last rank is the one that is at fault."""
    changes, is_last, noise = dict(changes or {}), ranks.rank == ranks.count - 1, hashlib.sha256()
    model, hook, draw, keep = make_model(dropout=dropout), Recorder(), DeviceNoise.draw_chunk, RunLog.add

    def drawn(self, size, generator):
        values = draw(self, size, generator)
        noise.update(values.numpy().tobytes())
        return values

    def add(self, report):
        keep(self, report)
        if fault == "dies" and len(self.batch_sizes) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "weights":
            model.first.bias.data.add_(1e-3)

    patch.setattr(DeviceNoise, "draw_chunk", drawn)
    if is_last:
        changes |= {"plan": {"clip_norm": 0.3}, "settings": {"learning_rate": 0.07}}.get(fault, {})
        patch.setattr(RunLog, "add", add)
        if fault == "code":
            patch.setattr(loop, "code_fingerprint", lambda module: "other")
    given = arguments(**changes, releases=RELEASES[releases])
    if fault == "data" and is_last:
        given["examples"].tensors["x"][-1, 0] += 1
    result = train(model, **given, hooks=[hook], checkpoint_path=checkpoint)
    weights = torch.cat([value.detach().flatten() for value in model.parameters()]).double().tolist()
    found = {"sums": hook.sums, "weights": weights, "noise": noise.hexdigest()}
    return found | {"record": result.record, "timing": result.timing}


if __name__ == "__main__":
    main()
