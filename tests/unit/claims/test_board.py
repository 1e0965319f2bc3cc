"""The board is made from the records alone, and what is kept in git is what the code makes of them."""

import argparse
from pathlib import Path

import pytest
import yaml

from lmodp.claims import desk
from lmodp.claims.board import BOARD, PAGES, board, board_html, claim_page, summary, write_board
from lmodp.cli import main
from lmodp.commands import claims as command
from lmodp.errors import InvalidValue
from lmodp.records.record import input_hash, read_record

ROOT = Path(__file__).resolve().parents[3]
KEPT = {path.stem: read_record(path) for path in sorted((ROOT / desk.RESULTS).glob("*.json"))}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with two claims, one of them unsupported."""
    (tmp_path / "claims").mkdir()
    monkeypatch.chdir(tmp_path)
    for row in ("few", "unknown"):
        asked = argparse.Namespace(what="new", name=f"mine-{row}")
        assert command.run(asked) == 0
        path = Path(f"claims/mine-{row}.yaml")
        values = yaml.safe_load(path.read_text())
        if row == "few":
            values["noise"] = {"origin": "printed", "noise_multiplier": 1.1}
            values["run"] = {"sampler": "poisson", "dataset_size": 60000, "batch_size": 600, "steps": 10}
            values["places"][0]["of"] += ["noise", *values["run"]]
        path.write_text(yaml.safe_dump(values))
    return tmp_path


def check(*claims):
    return command.run(argparse.Namespace(what="check", claims=list(claims)))


def test_the_board_deleted_and_made_again_is_the_same_byte_for_byte(checkout, capsys):
    assert check("all") == 0
    made = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file() and path.suffix != ".yaml"}
    each = {f"mine-{row}.{form}" for row in ("few", "unknown") for form in ("md", "json")}
    assert {path.name for path in made} == {"claims.md", "board.html", *each}
    for path in made:
        path.unlink()
    assert check("all") == 0
    assert {path: path.read_bytes() for path in made} == made
    told = capsys.readouterr().out
    assert "mine-few" in told and "holds" in told and "unsupported" in told


def test_a_record_stands_until_its_claim_changes_and_goes_with_it(checkout, capsys):
    check("mine-few", "mine-unknown")
    path = desk.record_path("mine-few")
    first, at = path.read_bytes(), path.stat().st_mtime_ns
    check("claims/mine-few.yaml")
    assert path.stat().st_mtime_ns == at
    claim = Path("claims/mine-few.yaml")
    assert main(["check", "results/claims"]) == 0
    claim.write_text(claim.read_text().replace("epsilon: 3", "epsilon: 0.001"))
    assert main(["check", "results/claims"]) == 1
    assert "claims/mine-few.yaml, an input, has changed since" in capsys.readouterr().out
    check("mine-few")
    assert path.read_bytes() != first and read_record(path)["verdict"] == "does not hold"
    claim.unlink()
    write_board(desk.kept_records())
    assert not path.exists() and not (PAGES / "mine-few.md").exists()


def test_a_page_has_numbers_routes_places_and_the_command(checkout):
    check("mine-few", "mine-unknown")
    records = desk.kept_records()
    page = claim_page("mine-few", records["mine-few"])
    for part in (
        "lmodp, verified",
        "dp-accounting",
        "table 0",
        "lmodp claims check mine-few",
        "not reviewed by others",
    ):
        assert part in page
    assert "not written in any source that was found: noise" in claim_page("mine-unknown", records["mine-unknown"])
    assert summary(records)[0] == "2 claims of 1 paper; 1 claim of 1 paper with a verdict."
    html = board_html(records)
    assert 'id="filter"' in html and 'id="mine-few"' in html and "<td>mine" not in html.replace("<td><a", "")


def test_a_new_claim_takes_no_name_that_is_used_or_says_nothing(checkout):
    for name in ("mine-few", "mine", "Mine-row", "mine-"):
        with pytest.raises(InvalidValue, match="name = "):
            command.run(argparse.Namespace(what="new", name=name))


def test_what_is_kept_of_the_claims_is_what_their_records_give():
    assert set(KEPT) == {path.stem for path in (ROOT / "claims").glob("*.yaml")}
    for name, record in KEPT.items():
        assert record["inputs"] == {f"claims/{name}.yaml": input_hash(ROOT / "claims" / f"{name}.yaml")}
        assert (ROOT / PAGES / f"{name}.md").read_text() == claim_page(name, record)
    assert (ROOT / BOARD).read_text() == board(KEPT)
