"""Wrong input: one clear message, a non-zero exit, no traceback, nothing left as if finished."""

import os
import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT, Workflow


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["experiments"]["head"]["training"].update(clipnorm=1), "Did you mean 'clip_norm'?"),
        (lambda values: values["privacy"].update(epsilon=[0]), "privacy.epsilon #1 = 0"),
        (lambda values: values.update(methods=["gauss"]), "unknown method"),
    ],
)
def test_a_faulty_configuration(tmp_path, change, message):
    workflow = Workflow(tmp_path, "smoke")
    change(workflow.values)
    workflow.write()
    done = workflow.run(check=False)
    assert done.returncode != 0
    assert message in done.text and "Traceback" not in done.text
    assert not workflow.results.exists()


def test_faulty_data_stop_with_one_message_each(tmp_path):
    """The jobs that read files say what is wrong with them, without a traceback."""
    (tmp_path / "data/sst2").mkdir(parents=True)
    for split in ("train", "validation"):
        (tmp_path / f"data/sst2/{split}.tsv").write_text("sentence\tlabel\na film\t1\nanother\tgood\n")
    workflow = Workflow(tmp_path, "smoke")
    head = workflow.values["experiments"]["head"]
    workflow.values |= {
        "methods": ["nonprivate"],
        "data_root": str(tmp_path / "data"),
        "experiments": {
            "labels": {**head, "dataset": "sst2", "source": "local", "model_source": "embedded"},
            "unpinned": {**head, "dataset": "e2e", "source": "hub", "model": "gpt2", "trainable": "full"},
        },
    }
    workflow.write()
    done = workflow.run("--keep-going", "--until", "prepare_dataset", check=False)
    assert done.returncode != 0 and "Traceback" not in done.text
    told = [line for line in done.text.splitlines() if line.startswith("lmodp: ")]
    assert len(told) == 2
    assert any("train.tsv' line 3, label = 'good': must be 0 or negative, 1 or positive." in line for line in told)
    assert any("hub_revisions.e2e = None" in line and "has no pinned revision" in line for line in told)
    assert not list(workflow.results.rglob("dataset.json"))


def lmodp(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "lmodp.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_tells_and_exits_with_2():
    code, _, told = lmodp("check", "results/none")
    assert (
        code == 2
        and told.startswith("lmodp: grid = 'results/none': is neither a results folder")
        and "Traceback" not in told
    )
    code, _, told = lmodp("fetch", "vader")
    assert code == 2 and "is not in data.lock" in told


def test_an_unknown_command_is_refused_with_the_list():
    code, _, told = lmodp("acount")
    assert code == 2 and "account" in told


def test_help_lists_every_command():
    from lmodp.cli import COMMANDS

    code, out, _ = lmodp("--help")
    assert code == 0 and all(name in out for name in COMMANDS)
