"""A method to copy: `lmodp new-method NAME` does, and says what comes next.

It runs as it is: Gaussian noise under flat clipping. Change what your method
changes and delete the rest; everything that is not stated has a default. Import
nothing slow at the top of this file: the workflow lists methods at every start.
"""

from lmodp.methods.contract import Mechanism, Method, Target


class Template(Method):
    """One sentence on what the method is."""

    name = "template"  # the file's name, and the key in the configuration
    title = "template"  # for tables and figures
    reference = "the paper it is from"
    calibrations = ("verified",)  # "claimed" too, if your paper claims an epsilon by a formula of its own
    not_under = {"claimed": "it has no claim of its own"}  # the reason that the table shows
    clipping = "flat"  # or "automatic"
    trainable = None  # the experiment's part; or "bitfit", {"lora": {...}}, ...

    def skip(self, spec):
        """Return why there is no answer for a cell, or None."""
        return None

    def mechanism(self, target: Target) -> Mechanism:
        """Return the noise of one coordinate, relative to the clip norm, that reaches the target.

        `target.calibrate` takes "gaussian", "laplace" or a shape from
        `lmodp.mechanisms` and returns it at the smallest sufficient scale.
        """
        return Mechanism(
            noise=target.calibrate("gaussian"), note="smallest standard deviation within the verified bound"
        )
