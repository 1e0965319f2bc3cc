"""What a job prints: whole lines for the shared console, and a log file without progress bars."""

import io
import sys

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
    job._keep_log(tmp_path / "logs/one.log")
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
