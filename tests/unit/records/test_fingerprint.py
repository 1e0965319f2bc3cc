"""Fingerprints: what a stage depends on, and which edits count."""

import pytest

from lmodp.records import fingerprint
from lmodp.records.fingerprint import _meaning, code_fingerprint, module_files
from lmodp.records.reuse import STAGES


def test_the_closure_follows_imports_within_the_suite():
    files = module_files("lmodp.records.record")
    assert set(files) == {"lmodp", "lmodp.records", "lmodp.records.record", "lmodp.errors", "lmodp.vocabulary"}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_code_of_its_own_name(name):
    assert STAGES[name].module in module_files(STAGES[name].module)


def test_the_walls_hold_in_the_source():
    """Mechanisms, accounting and auditing never import torch; training never imports an accountant."""
    for package in ("lmodp.mechanisms", "lmodp.accounting", "lmodp.auditing"):
        folder = fingerprint.ROOT.joinpath(*package.split("."))
        for path in folder.rglob("*.py"):
            text = path.read_text()
            assert "import torch" not in text and "from torch" not in text, path
    for path in (fingerprint.ROOT / "lmodp/training").rglob("*.py"):
        assert "lmodp.accounting" not in path.read_text(), path


@pytest.mark.parametrize(
    "stage", ["prepare_model", "cache_activations", "finetune_model", "evaluate_model", "verify_run"]
)
def test_training_does_not_depend_on_accounting(stage):
    """Otherwise every changed formula would retrain the whole grid."""
    files = module_files(STAGES[stage].module)
    assert not [name for name in files if name.startswith("lmodp.accounting")]
    assert "lmodp.methods.contract" not in files and "lmodp.grid.cells" not in files


BASE = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"""Doc."""\n\n\ndef f(x):\n    """More."""\n    # why\n    return x + 1  # note\n', True),
        ("def f(x):\n    return x + 2\n", False),
        ('def f(x):\n    return x + 1\n\n\nS = "# not a comment"\n', False),
    ],
)
def test_comments_and_docstrings_do_not_count(tmp_path, text, same):
    (tmp_path / "a.py").write_text(BASE)
    (tmp_path / "b.py").write_text(text)
    assert (_meaning(tmp_path / "a.py") == _meaning(tmp_path / "b.py")) is same


def test_a_third_party_method_takes_part(tmp_path):
    (tmp_path / "mine.py").write_text("A = 1\n")
    assert code_fingerprint("lmodp.records.record", tmp_path / "mine.py") != code_fingerprint("lmodp.records.record")
