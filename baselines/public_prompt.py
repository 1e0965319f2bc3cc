"""A prompt with label words and no training: the score that costs no privacy, since no private example is read."""

from typing import TYPE_CHECKING

from lmodp.methods.contract import Method

if TYPE_CHECKING:
    from lmodp.specs import CellSpec


class PublicPrompt(Method):
    """The pretrained model's own answer to a prompt. A row below it is worth no epsilon."""

    name = "public_prompt"
    title = "prompt without training (ε = 0)"
    reference = "Schick and Schütze 2021, arXiv 2001.07676; the prompt of the experiment"
    calibrations = ()
    clipping = "none"
    trainable = "none"

    def skip(self, spec: "CellSpec") -> str | None:
        """Return why a cell has no answer without training: its head is new."""
        return (
            None if spec.head else "the experiment has no prompt (head: {prompt, words}), and a new head says nothing"
        )
