"""Which code made a record: a hash over the package files that a stage uses.

The files are found by following the import statements of the stage's module, in the source text, without importing
anything. Comments, docstrings and blank lines do not count, so that a better explanation does not throw away twelve
hours of results, while a changed formula reruns everything that depends on it.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lmodp",)
# Names and meanings of fields. A wrong one is an error, never another number, so a new one makes nothing outdated.
DECLARATIONS = ("lmodp.records.fields",)
DATA_SUFFIXES = (".tsv", ".json", ".toml", ".html", ".css", ".js")


@cache
def code_fingerprint(module: str, *extra_files: Path) -> str:
    """Return 16 hexadecimal digits over the code that ``module`` depends on.

    Further files, such as a method's, take part with what they import from the suite.
    """
    digest = hashlib.sha256()
    files = module_files(module)
    for path in extra_files:
        for name in _imports(path, path.stem):
            files |= module_files(name)
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{_meaning(path)}\0".encode())
        for data in _data_files(path):
            digest.update(f"{data.name}\0".encode() + data.read_bytes())
    for path in extra_files:
        digest.update(f"{path.name}\0{_meaning(path)}\0".encode())
    return digest.hexdigest()[:16]


def module_files(module: str) -> dict[str, Path]:
    """Return the transitive closure of a module's imports within the suite.

    Importing ``lmodp.a.b`` also executes ``lmodp/a/__init__``, which belongs to it. ``lmodp/__init__`` does not: it
    computes nothing, and a new version alone makes no record outdated. Nor do `DECLARATIONS`.
    """
    found: dict[str, Path] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        path = _path_of(name)
        if path is None or name in found or name in PACKAGES or name in DECLARATIONS:
            continue
        found[name] = path
        queue += [name.rpartition(".")[0], *_imports(path, name)]
    return found


@cache
def _path_of(name: str) -> Path | None:
    if name.split(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _data_files(path: Path) -> list[Path]:
    """Tables that a package reads lie beside its ``__init__``."""
    if path.name != "__init__.py":
        return []
    return sorted(item for item in path.parent.iterdir() if item.suffix in DATA_SUFFIXES)


@cache
def _read(path: Path) -> tuple[str, ast.Module]:
    text = path.read_text(encoding="utf-8")
    return text, ast.parse(text)


@cache
def _imports(path: Path, name: str) -> tuple[str, ...]:
    """Names that a file's import statements may refer to (modules or their members)."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names: list[str] = []
    for node in _statements(_read(path)[1], executed=True):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(name for name in dict.fromkeys(names) if _path_of(name))


def _statements(node: ast.AST, *, executed: bool) -> Iterator[ast.AST]:
    """All statements of a file; ``executed`` leaves out those under ``if TYPE_CHECKING``, which never run."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            if not (executed and isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
                yield child
                yield from _statements(child, executed=executed)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


@cache
def _meaning(path: Path) -> str:
    """The file's text without comments, docstrings, blank lines and trailing space."""
    text, tree = _read(path)
    lines = [list(line) for line in text.splitlines()]
    for first, last in [*_docstrings(tree), *_comments(text)]:
        _blank(lines, first, last)
    kept = ("".join(line).rstrip() for line in lines)
    return "\n".join(line for line in kept if line)


def _docstrings(tree: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    spans = []
    for node in _statements(tree, executed=False):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            spans.append(((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)))
    return spans


def _comments(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(token.start, token.end) for token in tokens if token.type == tokenize.COMMENT]


def _blank(lines: list[list[str]], first: tuple[int, int], last: tuple[int, int]) -> None:
    for number in range(first[0], last[0] + 1):
        line = lines[number - 1]
        start = first[1] if number == first[0] else 0
        end = min(last[1], len(line)) if number == last[0] else len(line)
        line[start:end] = " " * (end - start)
