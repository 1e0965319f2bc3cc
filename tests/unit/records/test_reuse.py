"""A stage works once, is reused while nothing changed, and is outdated when something did."""

import json

import pytest

from lmodp.errors import InvalidValue
from lmodp.records import reuse as stages
from lmodp.records.record import read_record, read_runs, sealed, write_json
from lmodp.records.reuse import Judge, run_stage


@pytest.fixture
def root(tmp_path):
    return tmp_path / "results"


def certify(root, calls, spec=None, inputs=None, **options):
    return run_stage(
        "certify_mechanism",
        record=root / "m/certificate.json",
        root=root,
        inputs=inputs or {},
        spec=spec or {"epsilon": 0.7},
        work=lambda: calls.append(1) or {"epsilon_scope": "run"},
        **options,
    )


def test_work_is_done_once(root):
    calls = []
    first = certify(root, calls)
    assert certify(root, calls) == first and len(calls) == 1
    assert first["epsilon_scope"] == "run" and first["status"] == "done"


def test_another_spec_or_another_input_is_other_work(root):
    calls = []
    certify(root, calls)
    certify(root, calls, spec={"epsilon": 0.8})
    write_json(root / "in.json", {"x": 1})
    certify(root, calls, inputs={"in": root / "in.json"})
    write_json(root / "in.json", {"x": 2})
    certify(root, calls, inputs={"in": root / "in.json"})
    assert len(calls) == 4


def test_changed_code_is_other_work(root, monkeypatch):
    calls = []
    certify(root, calls)
    monkeypatch.setattr(stages, "stage_code", lambda *names: "changed")
    certify(root, calls, any_code=True)
    assert len(calls) == 1
    certify(root, calls)
    assert len(calls) == 2


@pytest.mark.parametrize(("found", "stands"), [(25, True), (26, False)])
def test_a_record_stands_whose_bulky_files_are_made_again_by_other_code(root, tmp_path, monkeypatch, found, stands):
    def prepare(value, **options):
        return run_stage(
            "prepare_model",
            record=root / "m/model.json",
            root=root,
            inputs={},
            spec={"model": "m"},
            artefact=tmp_path / "cache",
            work=lambda: prepared(value),
            **options,
        )

    def prepared(value):
        (tmp_path / "cache").mkdir(exist_ok=True)
        return {"parameters": value, "notes": ("one", "two")}

    prepare(25)
    before = (root / "m/model.json").read_bytes()
    (tmp_path / "cache" / stages.STAMP).unlink()  # a fresh clone has records and no cache
    monkeypatch.setattr(stages, "stage_code", lambda *names: "changed")
    made = prepare(found, any_code=True)
    assert made["parameters"] == found and (made["created_by"]["code"] != "changed") is stands
    assert ((root / "m/model.json").read_bytes() == before) is stands
    assert (tmp_path / "cache" / stages.STAMP).read_bytes() == (root / "m/model.json").read_bytes()


def test_any_code_will_do_except_for_what_reports(root, monkeypatch):
    certify(root, [])
    for stage in ("verify_run", "make_table"):
        run_stage(
            stage,
            record=root / f"{stage}.json",
            root=root,
            inputs={"c": root / "m/certificate.json"},
            spec={},
            work=dict,
        )
    monkeypatch.setattr(stages, "stage_code", lambda *names: "changed")

    def judge(name):
        return Judge(root=root, method_files={}, keep_records=True).why_outdated(root / name)

    assert judge("m/certificate.json") is None and judge("verify_run.json") is None
    assert "other code of make_table" in judge("make_table.json")
    write_json(
        root / "m/certificate.json", sealed({**read_record(root / "m/certificate.json"), "epsilon_scope": "step"})
    )
    assert "has changed" in judge("verify_run.json")


def test_a_status_of_the_work_becomes_the_records(root):
    made = run_stage(
        "certify_mechanism",
        record=root / "c.json",
        root=root,
        inputs={},
        spec={},
        work=lambda: {"status": "skipped", "reason": "no valid order"},
    )
    assert (made["status"], made["reason"]) == ("skipped", "no valid order")


def test_work_that_raises_leaves_no_record(root):
    with pytest.raises(InvalidValue):
        run_stage(
            "certify_mechanism",
            record=root / "c.json",
            root=root,
            inputs={},
            spec={},
            work=lambda: (_ for _ in ()).throw(InvalidValue("no")),
        )
    assert not (root / "c.json").exists()


def test_bulky_files_are_found_by_another_grid(root, tmp_path):
    calls, folder = [], tmp_path / "cache/data"

    def prepare(results):
        return run_stage(
            "prepare_dataset",
            record=results / "d.json",
            root=results,
            inputs={},
            spec={"dataset": "x"},
            artefact=folder,
            work=lambda: calls.append(folder.mkdir(parents=True)) or {"title": "three"},
        )

    assert prepare(root) == prepare(tmp_path / "other")
    assert len(calls) == 1 and read_record(tmp_path / "other/d.json")["title"] == "three"


def judged(root):
    return Judge(root=root, method_files={}).why_outdated(root / "m/certificate.json")


def test_a_current_record_is_not_outdated_and_each_change_is_named(root, monkeypatch):
    write_json(root / "in.txt", "x")
    certify(root, [], inputs={"in": root / "in.txt"})
    assert judged(root) is None
    write_json(root / "in.txt", "y")
    assert "in.txt, an input, has changed since" in judged(root)
    (root / "in.txt").unlink()
    assert "is missing" in judged(root)
    certify(root, [])
    monkeypatch.setattr(stages, "stage_code", lambda *names: "changed")
    assert "made by other code of certify_mechanism" in judged(root)


def test_outdated_spreads_downstream(root, monkeypatch):
    run_stage(
        "calibrate_noise",
        record=root / "m/noise.json",
        root=root,
        inputs={},
        spec={},
        work=lambda: {"note": "as published"},
    )
    certify(root, [], inputs={"noise": root / "m/noise.json"})
    assert judged(root) is None
    honest = stages.stage_code
    monkeypatch.setattr(
        stages, "stage_code", lambda name, *rest: "changed" if name == "calibrate_noise" else honest(name, *rest)
    )
    assert "other code of calibrate_noise" in judged(root)


def test_a_result_file_that_was_touched_is_noticed(root):
    def table():
        (root / "t").mkdir(parents=True, exist_ok=True)
        (root / "t/t.csv").write_text("a,b\n")
        return {}

    make = dict(record=root / "t/t.json", root=root, inputs={}, spec={}, files=(root / "t/t.csv",), work=table)
    run_stage("make_table", **make)
    (root / "t/t.csv").write_text("a,c\n")
    assert "t/t.csv has changed" in Judge(root=root, method_files={}).why_outdated(root / "t/t.json")
    run_stage("make_table", **make)
    assert (root / "t/t.csv").read_text() == "a,b\n"


def test_damaged_records_are_outdated(root):
    certify(root, [])
    (root / "m/certificate.json").write_text(json.dumps({"half": 1}))
    assert "lacks" in judged(root)


def train(root, runs, **options):
    return run_stage(
        "finetune_model",
        record=root / "c/training.jsonl",
        root=root,
        inputs={},
        spec={"cell": 1},
        work=lambda: {
            "runs": [
                {"run": run, "repetition": number, "status": "done", "reason": None, "mean_training_loss": 0.5}
                for number, run in enumerate(runs)
            ]
        },
        **options,
    )


def test_repetitions_are_lines_and_the_record_lists_them(root):
    made = train(root, ["a", "b"])
    record, lines = read_runs(root / "c/training.jsonl")
    assert record == made and [line["run"] for line in lines] == ["a", "b"]
    assert [entry["sha256"] for entry in record["runs"]] == [line["sha256"] for line in lines]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda lines: lines[:-1], "lacks the run b"),
        (lambda lines: [*lines[:-1], lines[-1].replace("0.5", "0.6")], "the run b has changed"),
        (lambda lines: [lines[0].replace('"cell": 1', '"cell": 2'), *lines[1:]], "has changed since it was written"),
        (lambda lines: [lines[0], lines[1][:20], lines[2]], "is not valid JSON"),
        (lambda lines: [], "is empty"),
    ],
)
def test_a_missing_or_changed_line_is_found_and_made_again(root, damage, what):
    train(root, ["a", "b"])
    path = root / "c/training.jsonl"
    whole = path.read_text()
    path.write_text("\n".join(damage(whole.splitlines())))
    assert what in Judge(root=root, method_files={}).why_outdated(path)
    train(root, ["a", "b"])
    assert path.read_text() == whole


def test_the_same_content_by_other_code_leaves_what_was_made_from_it(root, monkeypatch):
    """An input is known by its content, so a refactoring that changes no result outdates nothing downstream."""
    run_stage(
        "calibrate_noise",
        record=root / "m/noise.json",
        root=root,
        inputs={},
        spec={},
        work=lambda: {"note": "as published"},
    )
    certify(root, [], inputs={"noise": root / "m/noise.json"})
    honest = stages.stage_code
    monkeypatch.setattr(
        stages, "stage_code", lambda name, *rest: "changed" if name == "calibrate_noise" else honest(name, *rest)
    )
    run_stage(
        "calibrate_noise",
        record=root / "m/noise.json",
        root=root,
        inputs={},
        spec={},
        work=lambda: {"note": "as published"},
    )
    assert judged(root) is None


def test_a_record_whose_bulky_files_are_gone_is_made_again_and_stays_if_it_says_the_same(root):
    before = train(root, ["a"])
    stamp = (root / "c/training.jsonl").stat().st_ino
    calls = []
    train(root, ["a"], is_complete=lambda: calls.append(1) or True)
    assert calls and (root / "c/training.jsonl").stat().st_ino == stamp
    assert train(root, ["a"], is_complete=lambda: False) == before
    assert (root / "c/training.jsonl").stat().st_ino != stamp, "written anew"
    kept = (root / "c/training.jsonl").stat().st_ino
    train(root, ["a"], is_complete=lambda: False, any_code=True)
    assert (root / "c/training.jsonl").stat().st_ino == kept, "the work was done, the record stays"


def test_a_name_in_the_results_is_what_the_path_says_wherever_it_leads(root, tmp_path):
    """Behind a symbolic link two files had one name; a change of one was missed."""
    for name in ("one", "two"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        write_json(tmp_path / "disk" / name / "words.txt", {"x": name})
    root.mkdir()
    (root / "models").symlink_to(tmp_path / "disk")
    inputs = {name: root / "models" / name / "words.txt" for name in ("one", "two")}
    made = certify(root, [], inputs=inputs)
    assert set(made["inputs"]) == {"models/one/words.txt", "models/two/words.txt"}
    assert judged(root) is None
    write_json(tmp_path / "disk/one/words.txt", {"x": "other"})
    assert "models/one/words.txt, an input, has changed" in judged(root)


def test_two_inputs_of_one_name_are_refused(root, tmp_path):
    inputs = {name: tmp_path / name / "list.json" for name in ("one", "two")}
    for path in inputs.values():
        write_json(path, {})
    with pytest.raises(InvalidValue, match="have one name"):
        certify(root, [], inputs=inputs)
