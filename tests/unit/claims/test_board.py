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
        values = yaml.safe_load(path.read_text()) | {"title": "Mine", "source": "made up", "setting": "one row"}
        values["places"][0]["paper"] = "table 1"
        values["places"][1] |= {"repository": "me/mine", "commit": "1" * 40}
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
        "table 1",
        "lmodp claims check mine-few",
        "not reviewed by others",
    ):
        assert part in page
    assert "not written in any source that was found: noise" in claim_page("mine-unknown", records["mine-unknown"])
    assert summary(records)[0] == "2 claims of 1 paper; 1 claim of 1 paper with a verdict."
    assert (
        "Checked: Poisson samples, sampling rate 0.01, 10 steps," in page
        and "neighbours differ by one example more or less" in page
    )
    spec = records["mine-few"]["spec"] | {"release": {"sensitivity": 0.1}}
    assert "Beware" not in page and "judged as 11 clip" in claim_page("a", records["mine-few"] | {"spec": spec})
    html = board_html(records)
    assert 'id="filter"' in html and 'id="mine-few"' in html and "<td>mine" not in html.replace("<td><a", "")


def show(capsys, *arguments):
    assert main(["claims", "show", *arguments]) == 0
    return capsys.readouterr()


def test_what_is_shown_tells_what_is_unchecked_and_what_has_changed_since(checkout, capsys):
    check("mine-few", "mine-unknown")
    capsys.readouterr()
    assert "changed" not in show(capsys).out
    path = Path("claims/mine-few.yaml")
    path.write_text(path.read_text().replace("epsilon: 3", "epsilon: 0.001"))
    assert "mine-few: the file has changed since the check. Type:" in show(capsys, "mine-few").out
    assert "claims check mine-few" in show(capsys, "mine-few", "--json").err
    Path("claims/mine-odd.yaml").write_text("paper: [")
    desk.record_path("mine-unknown").unlink()
    head, few, odd, unknown, told = show(capsys).out.splitlines()
    assert head.split() == ["claim", "claimed", "proven", "interval", "verdict"]
    assert few.endswith("holds (the file has changed since)") and "1 of 3 claims: the file has changed" in told
    assert odd.endswith("not checked yet") and unknown.endswith("not checked yet")


def test_a_faulty_claim_is_told_and_the_others_are_checked(checkout, capsys):
    Path("claims/mine-a.yaml").write_text("paper: [")
    for asked in (["mine-a", "mine-unknown", "mine-gone"], ["all"]):
        assert check(*asked) == 2
        told = capsys.readouterr()
        assert "mine-unknown" in told.out and "mine-a.yaml" in told.err and "not checked: " in told.err
        desk.record_path("mine-unknown").unlink()
    assert not BOARD.exists()


def test_a_claim_elsewhere_is_checked_without_a_record_and_what_is_none_is_told(checkout, capsys):
    elsewhere = Path("own/mine-few.yaml")
    elsewhere.parent.mkdir()
    elsewhere.write_text(Path("claims/mine-few.yaml").read_text().replace("epsilon: 3", "epsilon: 0.001"))
    assert check(str(elsewhere)) == 0 and not desk.RESULTS.exists()
    page = capsys.readouterr().out
    assert f"lmodp claims check {elsewhere.resolve()}" in page and "claims show" not in page
    for asked, word in ((["own"], "ends in .yaml"), (["all", "mine-few"], "name all, or some")):
        with pytest.raises(InvalidValue, match=word):
            check(*asked)


def test_a_new_claim_takes_no_name_that_is_used_or_says_nothing(checkout):
    for name in ("mine-few", "mine", "Mine-row", "mine-", "ü-row", "mine-a/b", "mine-a b", "mine-..", "mine-a.yaml"):
        with pytest.raises(InvalidValue, match="name = "):
            command.run(argparse.Namespace(what="new", name=name))


def test_what_is_kept_of_the_claims_is_what_their_records_give():
    assert set(KEPT) == {path.stem for path in (ROOT / "claims").glob("*.yaml")}
    for name, record in KEPT.items():
        assert record["inputs"] == {f"claims/{name}.yaml": input_hash(ROOT / "claims" / f"{name}.yaml")}
        assert (ROOT / PAGES / f"{name}.md").read_text() == claim_page(name, record)
    assert (ROOT / BOARD).read_text() == board(KEPT)
