"""``lmodp fetch``: download the packages that data.lock pins."""

import argparse
from pathlib import Path

from lmodp.data.fetch import fetch_package
from lmodp.data.locks import locked_packages


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", help="entries of data.lock (default: all)")
    parser.add_argument("--cache-root", type=Path, default=Path(".cache"), help="for large files (default: .cache)")


def run(arguments: argparse.Namespace) -> int:
    for name in arguments.packages or locked_packages():
        print(f"{name:24s} {fetch_package(name, arguments.cache_root)}", flush=True)
    return 0
