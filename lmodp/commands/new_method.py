"""``lmodp new-method NAME``: write a new method from the template."""

import argparse
import re
from pathlib import Path

from lmodp.errors import InvalidValue, MissingFile, require
from lmodp.methods.discovery import BASELINES, find_methods
from lmodp.pipeline.console import near, typed

IN_CHECKOUT = (BASELINES.parent / "Snakefile").is_file()  # an installed package is no place for a user's file
TEMPLATE = BASELINES / "_template.py"
_DOCSTRING = re.compile(r'\A""".*?"""\n', re.DOTALL)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of the method: lower-case letters, digits and underscores")
    where = "folder of the new file (default: baselines/ of a checkout, else this folder)"
    parser.add_argument("--folder", type=Path, default=BASELINES if IN_CHECKOUT else Path(), help=where)


def run(arguments: argparse.Namespace) -> int:
    path = write_method(arguments.name, arguments.folder)
    own = arguments.folder.resolve() == BASELINES
    further = "" if own else f" --methods-folder={near(arguments.folder)}"
    config = "" if own else f" and methods_folder: {near(arguments.folder)}"
    where = "" if IN_CHECKOUT else ", in a checkout of lmodp"
    print(
        f"wrote {near(path)}\n"
        f"1. Describe the method and turn the target into noise: edit {near(path)} (contract: baselines/README.md).\n"
        f"2. Test it{where}: {typed('pytest')} --method {arguments.name}{further}\n"
        f"3. Run it{where}: add {arguments.name} to methods{config} in a configuration, then "
        f"{typed('snakemake')} --configfile THAT_FILE"
    )
    return 0


def write_method(name: str, folder: Path) -> Path:
    """Write a copy of the template under another name that is not used yet, into a folder that exists."""
    rule = "must be lower-case letters, digits and underscores, and begin with a letter"
    require(re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None, "name", name, rule, "For example my_method.")
    if not folder.is_dir():
        raise MissingFile(f"folder = {str(folder)!r}: does not exist. Create it first.")
    path = folder / f"{name}.py"
    if path.exists() or name in find_methods():
        raise InvalidValue(f"name = {name!r}: is already used. Choose another name.")
    path.write_text(_renamed(TEMPLATE.read_text(encoding="utf-8"), name), encoding="utf-8")
    return path


def _renamed(text: str, name: str) -> str:
    words = name.replace("_", " ")
    text = _DOCSTRING.sub(f'"""{words.capitalize()}: one sentence about what is new."""\n', text)
    text = text.replace("class Template", f"class {words.title().replace(' ', '')}")
    return text.replace('"template"', f'"{name}"', 1).replace('"template"', f'"{words}"', 1)
