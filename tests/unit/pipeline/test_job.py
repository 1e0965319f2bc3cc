"""What a job prints: whole lines for the shared console, and a log file without progress bars."""

import errno
import io
import sys

import pytest

from lmodp.errors import InvalidValue
from lmodp.pipeline import job


class Console(io.StringIO):
    """A console without a buffer: every write arrives by itself, as it does with PYTHONUNBUFFERED."""

    def __init__(self):
        super().__init__()
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)
        return len(text)


def test_a_line_reaches_the_console_in_one_piece_and_progress_stays_out_of_the_log(tmp_path, monkeypatch):
    console = Console()
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "stderr", console)
    monkeypatch.setenv("TQDM_DISABLE", "")
    job.keep_log(tmp_path / "logs/one.log")
    print("lmodp:", "one message", file=sys.stderr)
    print("10 %\r", end="")
    print("two\nthree")
    print("no end", end="", flush=True)
    assert [piece for piece in console.pieces if piece] == [
        "lmodp: one message\n",
        "10 %\r",
        "two\n",
        "three\n",
        "no end",
    ]
    assert (tmp_path / "logs/one.log").read_text() == "lmodp: one message\ntwo\nthree\nno end"


def test_beside_the_line_of_a_terminal_a_job_prints_into_its_log_alone(tmp_path, monkeypatch):
    console = Console()
    console.isatty = lambda: True
    for name in ("stdout", "stderr", "__stderr__"):
        monkeypatch.setattr(sys, name, console)
    monkeypatch.setenv("TQDM_DISABLE", "")
    job.keep_log(tmp_path / "one.log")
    print("a stage is done")
    print("10 %\r", end="", file=sys.stderr)
    assert not console.pieces
    job.tell(InvalidValue("a = 1: must be 2"))
    assert "".join(console.pieces) == "\r\x1b[Klmodp: a = 1: must be 2\n", "an error takes the place of the line"
    assert (tmp_path / "one.log").read_text() == "a stage is done\nlmodp: a = 1: must be 2\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "results/a.json"), "a.json': No space left on device. Free"),
        (OSError(errno.ENOSPC, "No space left on device"), "a file of the results': No space left"),
        (PermissionError(errno.EACCES, "Permission denied", b"results"), "'results': Permission denied. Change"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "can be written"),
        (MemoryError(), "memory: is not enough"),
        (InvalidValue("a = 1: must be 2"), "a = 1: must be 2"),
    ],
)
def test_what_a_user_can_mend_is_one_message(capsys, error, told):
    assert told in job.tell(error)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lmodp: ") and told in line


def test_a_fault_of_the_suite_keeps_its_traceback(capsys):
    try:
        raise KeyError("rate")
    except KeyError as error:
        assert job.tell(error) == "KeyError: 'rate'"
    assert "Traceback" in capsys.readouterr().err
