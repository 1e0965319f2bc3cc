"""``lmodp methods``: list all methods, and whether they can be used."""

import argparse

from lmodp.commands.arguments import add_methods_folder
from lmodp.methods.discovery import find_methods


def configure(parser: argparse.ArgumentParser) -> None:
    add_methods_folder(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per method; the exit status is 1 if one is broken.

    A missing optional package is not a fault.
    """
    found = find_methods(arguments.methods_folder)
    width = max(map(len, found))
    for name in sorted(found):
        print(f"{name:{width}s}  {found[name].method.title:36s} {found[name].origin:28s} {found[name].status}")
    return 1 if any(item.broken for item in found.values()) else 0
