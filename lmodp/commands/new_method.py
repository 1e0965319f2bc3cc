"""``lmodp new-method NAME``: a method to start from."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from lmodp.errors import InvalidValue, MissingFile, require
from lmodp.methods.discovery import BASELINES, find_methods

TEMPLATE = BASELINES / "_template.py"
_DOCSTRING = re.compile(r'\A""".*?"""\n', re.DOTALL)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", help="of the method: lower-case letters, digits and underscores")
    parser.add_argument("--folder", type=Path, default=BASELINES, help="where the file goes (default: baselines/)")


def run(arguments: argparse.Namespace) -> int:
    """Copy the template under the name and say the next three steps."""
    path = write_method(arguments.name, arguments.folder)
    own = arguments.folder.resolve() == BASELINES
    further = "" if own else f" --methods-folder={arguments.folder}"
    config = "" if own else f" and methods_folder: {arguments.folder}"
    print(
        f"wrote {path}\n"
        f"1. Say what it is and turn the target into noise: edit {path} (contract: baselines/README.md).\n"
        f"2. Check it: pytest --method {arguments.name}{further}\n"
        f"3. Run it: add {arguments.name} to methods{config} in a configuration, then: snakemake --configfile THAT_FILE"
    )
    return 0


def write_method(name: str, folder: Path) -> Path:
    """Write a copy of the template under another name.

    Raises:
        InvalidValue: the name cannot be one, or is taken.
        MissingFile: there is no such folder.
    """
    require(
        re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None,
        "name",
        name,
        "must be lower-case letters, digits and underscores, a letter first",
        "For example my_method.",
    )
    if not folder.is_dir():
        raise MissingFile(f"folder = {str(folder)!r}: is not there. Make it first.")
    path = folder / f"{name}.py"
    if path.exists() or name in find_methods():
        raise InvalidValue(f"name = {name!r}: there is such a method. Choose another name.")
    path.write_text(_renamed(TEMPLATE.read_text(encoding="utf-8"), name), encoding="utf-8")
    return path


def _renamed(text: str, name: str) -> str:
    words = name.replace("_", " ")
    text = _DOCSTRING.sub(f'"""{words.capitalize()}: one sentence on what is new about it."""\n', text)
    text = text.replace("class Template", f"class {words.title().replace(' ', '')}")
    return text.replace('"template"', f'"{name}"', 1).replace('"template"', f'"{words}"', 1)
