"""``lmodp schema``: the configuration's JSON schema, generated from its types."""

import argparse
import json


def configure(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments."""


def run(arguments: argparse.Namespace) -> int:
    from lmodp.grid.config import schema

    print(json.dumps(schema(), indent=1))
    return 0
