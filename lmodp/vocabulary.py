"""The fixed lists of words in plans, specs and records, and what counts as the suite's own.

This module imports nothing, so every module may import it.
"""

CALIBRATIONS = ("claimed", "verified")  # what a target epsilon is measured by
ACCOUNTANTS = ("claimed", "paper_bound", "verified")
SCOPES = ("step", "run")  # what an epsilon is of
OBJECTIVES = ("epsilon", "usefulness", "std")  # what a search makes small, or large
CLIPPINGS = ("flat", "automatic", "none")
ADJACENCY = "add_or_remove_one"
PRIVACY_UNIT = "example"
PURPOSES = ("split", "head_init", "sampling", "dropout", "noise")  # of random numbers
PURPOSES_OF_STEPS = ("sampling", "dropout", "noise")  # those that every step of a run draws for
UNTRAINED = "none"  # the trained part of a method that trains nothing
OWN_ENGINE = "lmodp"  # the suite's own engine, lmodp.training
RANDOMNESS = ("seeded", "entropy")  # a benchmark that anybody can repeat; a release
STATUSES = ("done", "skipped", "failed", "diverged")


def is_foreign(kind: type) -> bool:
    """Whether a class is defined outside the suite; the laws within it are proven and tested one by one.

    The files of methods count as outside: in a checkout a user's own are beside those of the suite.
    """
    return not kind.__module__.startswith("lmodp.") or kind.__module__.startswith("lmodp.baselines.")
