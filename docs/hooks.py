"""Pages of the documentation site that are made when it is built: from parsers, cards, locks and docstrings.

MkDocs calls the functions ``on_...``. Pages that lie elsewhere in the repository (README, CONTRIBUTING, the READMEs of
folders) come in under the names of `PAGES`. Links between files then lead to the page on the site.
"""

import argparse
import ast
import dataclasses
import importlib
import os
import posixpath
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

from lmodp.cli import COMMANDS
from lmodp.data.cards import DATASETS, DatasetCard
from lmodp.data.locks import hub_entries, locked_package
from lmodp.models.cards import MODELS, ModelCard
from lmodp.records import fields
from lmodp.records.stage_table import get_stage

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # pages outside docs/, and where they stand on the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "NOTICE.md": "notice.md",
    "baselines/README.md": "methods.md",
    "config/README.md": "configurations.md",
    "claims/README.md": "claim_files.md",
    "profiles/README.md": "profiles.md",
    "results/README.md": "results.md",
    "lmodp/accounting/README.md": "accounting.md",
    "lmodp/training/clipping/README.md": "clipping.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
RULED_TABLE = re.compile(r"^( *=+(?: +=+)+\n(?:.*\n)*? *=+(?: +=+)+) *$(?!\n *\S)", re.MULTILINE)
NAMED = re.compile(r"^( +)(``[^`\n]+``(?:, ``[^`\n]+``)*) {2,}(?=\S)", re.MULTILINE)
DOCTEST = re.compile(r"^>>> .*\n?(?:^.*\S.*\n?)*", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Add the pages of the library's rooms to the navigation."""
    config.nav.append({"Python": [f"python/{room}.md" for room in rooms()]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from elsewhere and those that are made."""
    made = {site: (ROOT / path).read_text(encoding="utf-8") for path, site in PAGES.items()}
    made |= {"command_line.md": command_line(), "records.md": records()}
    made |= {"data_sets.md": data_sets(), "models.md": models()}
    made |= {f"python/{room}.md": python_page(room) for room in rooms()}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages; a file without a page is named."""
    here = page.file.src_uri
    source = next((path for path, site in PAGES.items() if site == here), f"docs/{here}")

    def turned(match: re.Match[str]) -> str:
        image, label, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or ":" in path:
            return match.group()
        there = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        there = next((known for known in (there, f"{there}/README.md") if known in PAGES), there)
        if there in PAGES or there.startswith("docs/"):
            site = PAGES.get(there, there.removeprefix("docs/"))
            return f"{image}[{label}]({posixpath.relpath(site, posixpath.dirname(here))}{hash_}{anchor})"
        named = there.rstrip("/") in label
        return match.group() if not (ROOT / there).exists() else label if named else f"{label} (`{there}`)"

    return LINK.sub(turned, markdown)


class ReadableDocstrings(griffe.Extension):
    """Docstrings as Markdown knows them: tables with rulers in a block, names with a meaning as a list, doctests."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object before it is read."""
        if obj.docstring:
            obj.docstring.value = readable(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """The same for the package itself."""
        self.on_object(obj=pkg)


def readable(text: str) -> str:
    """Rewrite one docstring."""
    parts = RULED_TABLE.split(text)  # every other part is a table
    for place in range(0, len(parts), 2):
        parts[place] = NAMED.sub(r"\1- \2: ", parts[place])
    for place in range(1, len(parts), 2):
        indent = parts[place][: -len(parts[place].lstrip(" "))]
        parts[place] = f"{indent}```text\n{parts[place]}\n{indent}```"
    return DOCTEST.sub(lambda found: "Examples:\n" + textwrap.indent(found.group(), "    "), "".join(parts))


def rooms() -> list[str]:
    """The parts of the library that have a page: lmodp itself, then what lies directly in it."""
    home = ROOT / "lmodp"
    found = sorted(path.stem for path in home.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return ["lmodp", *(name for name in found if name not in ("__init__", "baselines", "cli", "commands"))]


def python_page(room: str) -> str:
    """The page of a room: its public names, then the docstrings of its modules."""
    name = "lmodp" if room == "lmodp" else f"lmodp.{room}"
    home = ROOT / name.replace(".", "/")
    package = home / "__init__.py"
    modules = sorted(home.rglob("*.py")) if room != "lmodp" and package.exists() else []
    inner = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules if path != package]
    public = [f"- `{to}`" if name.isupper() else f"- [`{name}`][{to}]" for name, to in exported(package)]
    alone = "      members: false\n" if public or inner else ""
    own = f"::: {name}\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n{alone}"
    parts = [f"# {name}", own, *(["Public names:\n\n" + "\n".join(public)] if public else [])]
    shown = [f"::: {module}" for module in inner if not module.endswith("__init__")]
    return "\n\n".join([*parts, *shown]) + "\n"


def exported(package: Path) -> Iterator[tuple[str, str]]:
    """Yield each name that a package's ``__init__`` imports for its users, and where it is defined."""
    for node in ast.walk(ast.parse(package.read_text(encoding="utf-8"))) if package.exists() else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lmodp."):
            yield from ((item.asname or item.name, f"{node.module}.{item.name}") for item in node.names)


def command_line() -> str:
    """Every command with its help text."""
    os.environ["COLUMNS"] = "100"
    parts = ["# The command line", "A command is called as `lmodp COMMAND`. `lmodp --help` lists them."]
    for name, purpose in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"lmodp {name}")
        importlib.import_module(f"lmodp.commands.{name.replace('-', '_')}").configure(parser)
        parts.append(f"## {name}\n\n{purpose[0].upper()}{purpose[1:]}.\n\n```text\n{parser.format_help()}```")
    return "\n\n".join(parts) + "\n"


def records() -> str:
    """The fields of every record, from their declarations."""
    parts = ["# Fields of records", fields.__doc__ or ""]
    parts += ["## Every record", _fields(fields.EVERY), "## Every line of a run", _fields(fields.EVERY, line=True)]
    for stage in fields.stages():
        parts += [f"## {stage}", f"`{get_stage(stage).files['record']}`", _fields(stage)]
        parts += ["Each line of a run:", _fields(stage, line=True)] if stage in fields.stages(line=True) else []
    return "\n\n".join(parts) + "\n"


def _fields(stage: str, *, line: bool = False) -> str:
    declared = fields.fields_of(stage, line=line, own=True)
    rows = [f"| `{path}` | {field.type} | {field.meaning} | {field.mark} |" for path, field in declared.items()]
    return "\n".join(["| field | type | meaning | mark |", "| --- | --- | --- | --- |", *rows])


def data_sets() -> str:
    """The card of every data set."""
    return _cards("Data sets", "A data set of another size is refused, since N decides the sampling rate.", DATASETS)


def models() -> str:
    """The card of every model."""
    return _cards("Models", "A model with another number of parameters is refused.", MODELS)


def _cards(title: str, rule: str, cards: Mapping[str, DatasetCard | ModelCard]) -> str:
    known: dict[str, DatasetCard | ModelCard] = {**DATASETS, **MODELS}
    home = type(next(iter(cards.values())))
    meaning = f"[{home.__name__}][{home.__module__}.{home.__name__}] explains the fields."
    parts = [f"# {title}", f"{rule} {meaning} [Data sets and models](sources.md) tells where the files come from."]
    for name, card in cards.items():
        rows = [f"| {key} | {value} |" for key, value in [*_facts(card), *_origin(name, card.package)]]
        said = [f"- {note}" for note in card.notes]  # and what the others' cards say of this one:
        for other, notes in ((item.name, item.notes) for item in known.values() if item is not card):
            said += [
                f"- Of `{other}`: {note}" for note in notes if re.search(rf"\b{re.escape(card.title)}(?!\w)", note)
            ]
        parts += [f"## {card.title} {{ #{name} }}", "\n".join(["| | |", "| --- | --- |", *rows]), "\n".join(said)]
    return "\n\n".join(parts) + "\n"


def _facts(card: DatasetCard | ModelCard) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(card):
        value = getattr(card, field.name)
        if isinstance(value, tuple):
            value = ", ".join(value)
        if value and field.name not in ("title", "notes", "package") and not isinstance(value, Mapping):
            yield f"`{field.name}`", f"{value:,}" if type(value) is int else str(value)


def _origin(name: str, package: str | None) -> Iterator[tuple[str, str]]:
    """Where the files come from, and the checksums that are pinned."""
    if package:
        locked = locked_package(package)
        yield "packaged in", f"{locked.name} {locked.version}"
        yield "SHA-256", f"`{locked.sha256}`"
    if entry := hub_entries().get(name):
        yield "on a hub", f"{entry.repository}{', gated' if entry.gated else ''}"
        yield "revision", f"`{entry.revision}`" if entry.revision else "none is pinned: the configuration names one"
        yield from ((f"SHA-256 of {file}", f"`{value}`") for file, value in entry.sha256.items())
    if not package and not entry:
        yield "made by", "this suite, from a seed"
