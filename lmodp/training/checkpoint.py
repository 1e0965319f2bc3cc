"""Checkpoints: complete or absent, checked before they are used.

Layout: magic (16 bytes), SHA-256 of the rest (32 bytes), payload (`torch.save`).
The payload names the run's identity: hashes of everything that must be equal for a
resumed run to end with the same bytes.

A checkpoint holds the noise key: whoever has it can subtract the noise. Keep it
as confidential as the data. A run deletes its checkpoint when it is done.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
import torch
from torch import nn

from lmodp.errors import DamagedFile
from lmodp.plan import Plan
from lmodp.records.record import delete_left, replacing
from lmodp.training.examples import Examples
from lmodp.training.losses import Loss
from lmodp.training.settings import TrainingSettings

MAGIC = b"lmodp checkpt 2\n"
_DIGEST = hashlib.sha256().digest_size
PIECE = 1024  # examples hashed at a time
TRIED = 4  # examples whose losses tell one loss from another


class _HashingWriter:
    """A binary stream that hashes what passes through it."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.hash = stream, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()


def save_checkpoint(path: Path | str, state: dict[str, Any], *, identity: Mapping[str, str]) -> None:
    """Write a checkpoint atomically: temporary name, flushed to disk, renamed; an older one stays valid until then."""
    with replacing(Path(path), mode=0o600) as stream:
        _write(stream, {**state, "identity": dict(identity)})


def delete_checkpoint(path: Path | str) -> None:
    """Delete a checkpoint, if there is one, and what killed runs left of it: all of these hold the noise key."""
    Path(path).unlink(missing_ok=True)
    delete_left(Path(path))


def _write(stream: BinaryIO, state: dict[str, Any]) -> None:
    stream.write(MAGIC + bytes(_DIGEST))
    writer = _HashingWriter(stream)
    torch.save(state, cast(IO[bytes], writer))  # it only writes and flushes
    stream.seek(len(MAGIC))
    stream.write(writer.hash.digest())
    stream.flush()


def load_checkpoint(path: Path | str, *, identity: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the state of a checkpoint, None where there is none.

    Raises:
        DamagedFile: not a checkpoint, its hash is wrong, or it belongs to another run; what differs of the identity
            (`run_identity`) is named.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    head = len(MAGIC) + _DIGEST
    if not data.startswith(MAGIC) or len(data) <= head:
        raise _refused(path, "is not a checkpoint of this suite")
    if hashlib.sha256(data[head:]).digest() != data[len(MAGIC) : head]:
        raise _refused(path, "is damaged: its content does not have the hash it was written with")
    state: dict[str, Any] = torch.load(io.BytesIO(data[head:]), weights_only=True, map_location="cpu")
    if other := [name for name, value in identity.items() if state["identity"].get(name) != value]:
        raise _refused(path, f"belongs to another run, which differs in: {', '.join(other)}")
    return state


def _refused(path: Path | str, rule: str) -> DamagedFile:
    return DamagedFile(f"checkpoint = {str(path)!r}: {rule}. Delete it to start the run from its first step.")


def run_identity(
    model: nn.Module, plan: Plan, settings: TrainingSettings, seeds: Mapping[str, int], examples: Examples, loss: Loss
) -> dict[str, str]:
    """Return a hash or a value for every part of a run, by name.

    The data are hashed whole, and so are trained and frozen weights and the model's buffers. The loss is known by
    what it gives for the first examples, to three digits, because a function cannot be hashed.
    """
    chosen = {key: value for key, value in settings.to_dict().items() if key != "checkpoint_every"}
    named = list(model.named_parameters())
    trained = [(name, value) for name, value in named if value.requires_grad]
    frozen = [*((name, value) for name, value in named if not value.requires_grad), *model.named_buffers()]
    return {
        "plan": _digest_of(plan.to_dict()),
        "settings": _digest_of(chosen),
        "seeds": _digest_of(dict(seeds)),
        "version of torch": str(torch.__version__),
        "number of threads": str(torch.get_num_threads()),
        "initial weights": _digest(trained),
        "frozen weights": _digest(frozen),
        "data": _digest(_pieces(examples)),
        "loss": _digest_of(_first_losses(model, examples, loss)),
    }


def _pieces(examples: Examples) -> Iterable[tuple[str, torch.Tensor]]:
    for start in range(0, len(examples), PIECE):
        yield from examples.batch(np.arange(start, min(start + PIECE, len(examples)))).items()


def _first_losses(model: nn.Module, examples: Examples, loss: Loss) -> list[str]:
    training = model.training
    model.eval()
    with torch.no_grad():
        values = loss(model, examples.batch(np.arange(min(TRIED, len(examples)))))
    model.train(training)
    return [f"{float(value):.3g}" for value in values]


def _digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    found = hashlib.sha256()
    for name, tensor in tensors:
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
