"""The certificates that are kept in git: each is of its published point, and holds by code that shares nothing."""

from pathlib import Path

import pytest

from lmodp.accounting.domination.files import read_certificate
from lmodp.cli import main
from lmodp.mechanisms import load_noise

FOLDER = Path(__file__).parents[2] / "results" / "certificates"
KEPT = sorted(FOLDER.glob("*.npz"))


def test_each_is_of_its_point_and_the_golden_run():
    assert KEPT and sum(path.stat().st_size for path in KEPT) < 10e6
    for path in KEPT:
        statement, noise, arrays = read_certificate(path)
        assert noise == load_noise(path.stem)
        assert (statement["sampling_rate"], statement["steps"]) == (2048 / 67349, 192) and statement["delta"] == 1e-10
        followed = path.stem in ("lmo-0.3", "lmo-0.7")  # steps so weak that no Gaussian of about their size dominates
        assert 1 < arrays["gamma"] / noise.fisher_information < (1.5 if followed else 1.003)
        assert ("smooth" in arrays) == followed and 0 < statement["epsilon"]
    assert {"lmo-0.3", "lmo-0.7", "lmo-2"} < {path.stem for path in KEPT}


@pytest.mark.slow
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_each_holds(path, capsys):
    assert main(["recheck", str(path)]) == 0
    assert " hold" in capsys.readouterr().out
