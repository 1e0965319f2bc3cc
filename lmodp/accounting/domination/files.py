"""A domination certificate as a file, for `lmodp recheck` and for readers who trust no code but their own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lmodp.accounting.checks import Run
from lmodp.accounting.domination.budget import BUDGETS, FLOW_END, dominate
from lmodp.errors import DamagedFile, MissingFile
from lmodp.mechanisms import Noise, mixture_of, noise_from_dict

_NOTHING = 2**16 - 1  # stands for an infinite entry, which claims nothing


def write_certificate(
    path: Path, noise: Noise, *, run: Run, epsilon: float, followed: Mapping[str, Any] | None = None
) -> None:
    """Write the arrays by which one step of the noise, at sensitivity 1, is dominated by a Gaussian.

    Args:
        path: of a numpy archive, of 200 to 500 kB.
        noise: a Laplace mixture.
        run, epsilon: what was stated of the run; it follows from the domination.
        followed: what was chosen in a recursion over the steps, if epsilon follows from that.

    Raises:
        Unsupported: the noise is refused.
    """
    found = dominate(mixture_of(noise))
    steps = np.minimum(np.rint(found.table / found.unit[:, None]), _NOTHING).astype(np.uint16)
    statement = {"noise": noise.to_dict(), **run, "epsilon": epsilon}
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            statement=np.array(json.dumps(statement)),
            steps=steps,
            flow_end=FLOW_END,
            budgets=BUDGETS,
            gamma=found.at(1.0),
            **{name: getattr(found, name) for name in ("variances", "squares", "small", "rates", "unit")},
            **(followed or {}),
        )


def read_certificate(path: Path) -> tuple[dict[str, Any], Noise, dict[str, Any]]:
    """Return the statement, its noise, and the arrays as `lmodp.accounting.domination.recheck.recheck` takes them.

    Raises:
        MissingFile: there is no such file.
        DamagedFile: it is not a certificate.
    """
    if not path.is_file():
        raise MissingFile(
            f"certificate = {str(path)!r}: is not there. `lmodp account --full --certificate` writes one."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = dict(archive)
        statement = json.loads(str(arrays.pop("statement")))
        steps, unit = arrays.pop("steps"), arrays.pop("unit")
        table = np.where(steps == _NOTHING, np.inf, steps * unit[:, None])
        return statement, noise_from_dict(statement["noise"]), {**arrays, "table": table}
    except (OSError, BadZipFile, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamagedFile(f"certificate = {str(path)!r}: is not a domination certificate ({error}).") from error
