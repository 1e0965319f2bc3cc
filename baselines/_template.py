"""A method to copy: `lmodp new-method NAME` copies it and prints the next steps.

It already runs: Gaussian noise under flat clipping. Change what your method changes
and delete the rest; everything you delete has a default. Import slow modules inside
the functions, because the workflow loads all methods at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmodp.methods.contract import Mechanism, Method, Target

if TYPE_CHECKING:
    from lmodp.specs import CellSpec


class Template(Method):
    """One sentence on what the method is."""

    name = "template"  # the file's name, and the key in the configuration
    title = "template"  # for tables and figures
    reference = "the paper it is from"
    calibrations = ("verified",)  # add "claimed" if your paper claims an epsilon by its own formula
    not_under = {"claimed": "it has no claim of its own"}  # the tables show this reason
    clipping = "flat"  # or "automatic"
    trainable = None  # the experiment's part; or "bitfit", {"lora": {...}}, ...

    def skip(self, spec: CellSpec) -> str | None:
        """Return why the method cannot compute a cell, or None."""
        return None

    def mechanism(self, target: Target) -> Mechanism:
        """Return the noise of one coordinate, relative to the clip norm, that reaches the target.

        `target.calibrate` takes "gaussian", "laplace" or a shape from
        `lmodp.mechanisms` and returns it at the smallest sufficient scale.
        """
        return Mechanism(
            noise=target.calibrate("gaussian"), note="smallest standard deviation within the verified bound"
        )
