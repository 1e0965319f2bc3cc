"""The published points (noises) by name, read from ``published.tsv`` in this folder.

Names: ``lmo-0.3``, ``figure6-0.2``, ``usefulness-0.3``, ``plrv_o-sst2-0.2``, .... The suffix
``-as_drawn`` means an LMO-DP noise as its public experiment code draws it. Lap2 publishes only
formulas (`lmodp.accounting.claimed.lap2`) and no noises, so it has no row.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lmodp.errors import DamagedFile, Fault, MissingFile, nearest, parse_json, require
from lmodp.mechanisms.mixture import LaplaceMixture
from lmodp.mechanisms.noise import Noise
from lmodp.mechanisms.parts import PARTS
from lmodp.mechanisms.reading import noise_from_dict

AS_DRAWN = "-as_drawn"
_EPSILONS = ("published_epsilon_step", "published_epsilon_run")


@dataclass(frozen=True, kw_only=True)
class PublishedNoise:
    """One published point.

    Args:
        name: key in `PUBLISHED`.
        method: "lmo_dp" or "plrv_o".
        noise: the law for which the published epsilon was computed.
        published_epsilon_step: the epsilon its paper gives for one step (LMO-DP), or None.
        published_epsilon_run: the epsilon its paper gives for the run (PLRV-O), or None.
        source: where it was published.
    """

    name: str
    method: str
    noise: LaplaceMixture
    published_epsilon_step: float | None
    published_epsilon_run: float | None
    source: str


def _noise(row: Mapping[str, str]) -> LaplaceMixture:
    columns = {key: [column for column in row if column.startswith(f"{key}_") and row[column]] for key in PARTS}
    parts: dict[str, Any] = {
        key: PARTS[key](**{column.removeprefix(f"{key}_"): float(row[column]) for column in found})
        for key, found in columns.items()
        if found
    }
    return LaplaceMixture(**parts)


def _read() -> Mapping[str, PublishedNoise]:
    text = files("lmodp.mechanisms").joinpath("published.tsv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        epsilons: Any = {key: float(row[key]) if row[key] else None for key in _EPSILONS}
        stated: Any = {key: row[key] for key in ("name", "method", "source")}
        found[row["name"]] = PublishedNoise(noise=_noise(row), **stated, **epsilons)
    return MappingProxyType(found)


PUBLISHED: Mapping[str, PublishedNoise] = _read()


def as_drawn(noise: LaplaceMixture) -> LaplaceMixture:
    """Return the noise that LMO-DP's public experiment code draws for the published ``noise``.

    The accounting uses lambda as the *rate* of the exponential part. The drawing code passes
    lambda to a library that expects the *mean*. A noise without that part is drawn as analysed.
    """
    part = noise.exponential
    return noise if part is None else replace(noise, exponential=replace(part, rate=1 / part.rate))


def load_noise(source: str | Path) -> Noise:
    """Return a noise by published name or from a JSON file.

    Args:
        source: a name in `PUBLISHED`, such a name with ``-as_drawn``, or the path of a JSON file
            holding a noise, or a record with a noise under the key "noise".

    Raises:
        MissingFile: neither a published name nor a file.
        DamagedFile: the file is not JSON.
        InvalidValue: the file's content is not a valid noise.

    Source:
        the column "source" of published.tsv names table, figure or code line of each.

    >>> import lmodp
    >>> lmodp.load_noise("lmo-0.3").to_dict()["rate"]["uniform"]
    {'weight': 0.1, 'low': 1.0, 'high': 2.0}
    """
    name = str(source)
    if name in PUBLISHED:
        return PUBLISHED[name].noise
    if name.endswith(AS_DRAWN) and name.removesuffix(AS_DRAWN) in PUBLISHED:
        setting = PUBLISHED[name.removesuffix(AS_DRAWN)]
        require(setting.method == "lmo_dp", "noise", name, "is known as drawn for LMO-DP settings only")
        return as_drawn(setting.noise)
    return _from_file(Path(source))


def _from_file(path: Path) -> Noise:
    if not path.is_file():
        raise MissingFile(
            str(Fault("noise", str(path), "is neither a file nor a published name", nearest(str(path), PUBLISHED)))
        )
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(str(Fault("noise", str(path), f"is not JSON: {error}"))) from error
    nested = isinstance(values, dict) and "family" not in values and isinstance(values.get("noise"), dict)
    return noise_from_dict(values["noise"] if nested else values)
