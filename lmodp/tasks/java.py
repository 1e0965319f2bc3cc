"""The two Java programs of the captioning metrics: a tokenizer and METEOR.

Both are jar files inside pycocoevalcap. This module calls them directly, because the wrappers of that package write
into the installed package and use the encoding of the machine's locale.
"""

import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from lmodp.errors import Unsupported

TOKENIZER_JAR = "tokenizer/stanford-corenlp-3.4.1.jar"
METEOR_JAR = "meteor/meteor-1.5.jar"
# As in pycocoevalcap: marks that the captioning metrics leave out.
PUNCTUATION = frozenset(
    ("''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";")
)


def why_no_java() -> str | None:
    """Return why the Java programs cannot run here, or None if they can."""
    if shutil.which("java") is None:
        return "needs Java, which is not installed"
    if find_spec("pycocoevalcap") is None:
        return "needs pycocoevalcap, which is not installed"
    return None


def penn_tokens(texts: Sequence[str]) -> list[str]:
    """Return each text in Penn Treebank tokens: lower case, without punctuation, separated by spaces.

    Raises:
        Unsupported: there is no Java, or the program failed.
    """
    lines = "\n".join(" ".join(text.split()) for text in texts) + "\n"
    jar = _package() / TOKENIZER_JAR
    command = ["-Dfile.encoding=UTF-8", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    found = _java([*command, "-preserveLines", "-lowerCase", "-encoding", "UTF-8"], lines, jar.parent).split("\n")
    if len(found) < len(texts):
        raise Unsupported(f"tokenizer: returned {len(found)} lines for {len(texts)} texts.")
    return [" ".join(word for word in line.split() if word not in PUNCTUATION) for line in found[: len(texts)]]


def meteor(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return METEOR 1.5 (English, normalised, default weights) of tokenised texts, with all references of each.

    References:
        Denkowski and Lavie (2014).

    Raises:
        Unsupported: there is no Java, or the program failed.
    """
    jar = _package() / METEOR_JAR
    command = ["-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    process = subprocess.Popen(
        ["java", *command],
        cwd=jar.parent,
        text=True,
        encoding="utf-8",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        # Each question is sent after the previous answer was read, so no pipe fills up.
        statistics = [
            _ask(process, ("SCORE", *_bare(group), *_bare([output])))
            for output, group in zip(outputs, references, strict=True)
        ]
        _ask(process, ("EVAL", *statistics))
        questions, answers = _pipes(process)
        questions.close()
        rest = answers.read().splitlines()  # communicate() would miss what readline() has already buffered
    if len(rest) != len(outputs):  # the scores of the records after the first, then the corpus's
        raise Unsupported(f"METEOR: returned {len(rest)} lines for {len(outputs)} texts.")
    return float(rest[-1])


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None and process.stdout is not None  # both were asked for when it was started
    return process.stdin, process.stdout


def _ask(process: subprocess.Popen[str], parts: Sequence[str]) -> str:
    questions, answers = _pipes(process)
    questions.write(" ||| ".join(parts) + "\n")
    questions.flush()
    answer = answers.readline().strip()
    if not answer:
        raise Unsupported("METEOR: stopped before it answered; it needs 2 GB of memory.")
    return answer


def _bare(texts: Sequence[str]) -> list[str]:
    return [text.replace("|||", " ") for text in texts]


def _package() -> Path:
    spec, reason = find_spec("pycocoevalcap"), why_no_java()
    if reason or spec is None or not spec.submodule_search_locations:
        raise Unsupported(reason or "needs pycocoevalcap, whose folder was not found")
    return Path(spec.submodule_search_locations[0])


def _java(arguments: list[str], text: str, folder: Path) -> str:
    done = subprocess.run(["java", *arguments], input=text.encode(), capture_output=True, cwd=folder, check=False)
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise Unsupported(f"java: stopped with status {done.returncode} ({reason}).")
    return done.stdout.decode()
