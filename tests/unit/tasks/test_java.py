"""The METEOR program's answers, as they may arrive: line by line or all at once."""

import sys

import pytest

from lmodp.errors import Unsupported
from lmodp.tasks import java

PROGRAM = """#!{python}
import sys
count = 0
for line in sys.stdin:
    if line.startswith("SCORE"):
        count += 1
        print("1.0 2.0", flush=True)
    else:
        sys.stdout.write("".join(f"0.{{number}}\\n" for number in range({lines})))  # in one piece
        sys.stdout.flush()
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that puts a program in Java's place; it answers with so many lines."""
    monkeypatch.setattr(java, "_package", lambda: tmp_path)
    (tmp_path / "meteor").mkdir()

    def put(lines):
        path = tmp_path / "java"
        path.write_text(PROGRAM.format(python=sys.executable, lines=lines))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return put


def test_answers_that_arrive_together_are_all_read(program):
    program(5)  # four records and the corpus
    assert java.meteor(["a"] * 4, [["b"]] * 4) == 0.4


@pytest.mark.parametrize("lines", [4, 6])
def test_a_lost_answer_is_told(program, lines):
    program(lines)
    with pytest.raises(Unsupported, match=rf"METEOR: returned {lines - 1} lines for 4 texts"):
        java.meteor(["a"] * 4, [["b"]] * 4)
