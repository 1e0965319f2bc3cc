"""What a person sees of a running workflow."""

import io
import logging
import subprocess
import sys

import pytest

from lmodp.pipeline.console import Console, closing_lines


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def told(terminal):
    """What a run of three jobs writes: two begin, one of them ends, one message comes between."""
    stream, logger = Stream(terminal), logging.Logger("snakemake")
    handler = logging.StreamHandler(stream)
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    console = Console(logger, total=3)
    logger.info("Select jobs to execute...")
    for number in (1, 2):
        logger.info("rule finetune_model:", extra={"event": "job_info", "jobid": number, "rule_name": "finetune_model"})
    both = stream.getvalue()
    logger.warning("a message")
    logger.info("Finished jobid: 1", extra={"event": "job_finished", "job_id": 1})
    logger.info("1 of 3 steps (33%) done", extra={"event": "progress", "done": 1, "total": 3})
    one = stream.getvalue()
    console.close()
    return both, one, stream.getvalue()


def test_a_terminal_has_one_line_with_what_is_done_what_runs_and_the_time_left():
    both, one, all_of_it = told(terminal=True)
    assert both.rpartition("\r")[2].startswith("0/3 jobs done") and both.endswith("left: finetune_model (2)")
    last = one.rpartition("\r")[2]
    assert last.startswith("1/3 jobs done") and " 00:00 left: finetune_model" in last
    lines = all_of_it.split("\n")
    assert len(lines) == 2 and lines[0].endswith("\ra message"), "a message has a line of its own, above"
    assert not all_of_it.rpartition("\r")[2], "at the end the line is gone"


def test_elsewhere_no_line_is_written_over():
    assert told(terminal=False)[2] == "a message\n1 of 3 steps (33%) done\n"


def test_the_last_lines_name_only_what_exists(tmp_path):
    assert not any("report.html" in line or "comparison.md" in line for line in closing_lines(tmp_path, "snakemake"))
    assert "snakemake --configfile g.yaml" in closing_lines(tmp_path, "snakemake --configfile g.yaml")[-1]
    for name in ("report.html", "tables/comparison.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    said = "\n".join(closing_lines(tmp_path, "snakemake"))
    assert all(text in said for text in ("report.html", "comparison.md", f"lmodp summary {tmp_path}"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_character_ends_a_program(encoding):
    code = "from lmodp.pipeline.console import speak_plainly as s; s(); print('0.3 ≤ ε ± ∞ ☃')"
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    plain = {"ascii": "0.3 <= epsilon +- inf ?", "latin-1": "0.3 <= epsilon ± inf ?"}
    assert done.stdout.decode(encoding).strip() == plain.get(encoding, "0.3 ≤ ε ± ∞ ☃"), done.stderr
