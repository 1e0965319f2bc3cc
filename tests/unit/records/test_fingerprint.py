"""Fingerprints: what a stage depends on, and which edits count."""

import pytest

from lmodp.records.fingerprint import _meaning, code_fingerprint, module_files
from lmodp.records.stage_table import STAGES


def test_the_closure_follows_imports_within_the_suite():
    files = module_files("lmodp.records.record")  # what fields mean is no code, see DECLARATIONS
    assert set(files) == {"lmodp.records", "lmodp.records.record", "lmodp.errors", "lmodp.vocabulary"}


@pytest.mark.parametrize(
    "stage", ["prepare_model", "cache_activations", "finetune_model", "evaluate_model", "verify_run"]
)
def test_training_does_not_depend_on_accounting(stage):
    """Otherwise every changed formula would retrain the whole grid."""
    files = module_files(STAGES[stage].module)
    assert not [name for name in files if name.startswith("lmodp.accounting")]
    assert "lmodp.methods.contract" not in files and "lmodp.grid.cells" not in files


@pytest.mark.parametrize("stage", [name for name, stage in STAGES.items() if not stage.reports])
def test_no_number_depends_on_how_a_grid_is_configured(stage):
    """Otherwise every new configuration key would make all records again."""
    assert not [name for name in module_files(STAGES[stage].module) if name.startswith("lmodp.grid")]


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
