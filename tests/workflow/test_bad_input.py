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
        (lambda values: values["privacy"].update(epsilon=[0]), "privacy.epsilon.0 = 0"),
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


def lmodp(*arguments):
    done = subprocess.run([sys.executable, "-m", "lmodp.cli", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_tells_and_exits_with_2():
    code, _, told = lmodp("check", "results/none")
    assert code == 2 and told.startswith("lmodp: folder = 'results/none': is not there.") and "Traceback" not in told
    code, _, told = lmodp("fetch", "vader")
    assert code == 2 and "is not in data.lock" in told


def test_an_unknown_command_is_refused_with_the_list():
    code, _, told = lmodp("acount")
    assert code == 2 and "account" in told


def test_help_lists_every_command():
    from lmodp.cli import COMMANDS

    code, out, _ = lmodp("--help")
    assert code == 0 and all(name in out for name in COMMANDS)
