"""The command line ``lmodp COMMAND``: each command is a module of ``lmodp/commands``.

A command's module has two functions: ``configure`` declares its arguments, ``run`` does the work and returns the exit
status. It is imported only when the command is called, and imports what computes only when it runs, so that help and
refused arguments come at once. Errors with a message for the user are printed without a traceback; the exit
status is then 2.
"""

import argparse
import gc
import importlib
import os
import sys

from lmodp import __version__
from lmodp.errors import LmodpError, message_for_user
from lmodp.pipeline.console import speak_plainly

COMMANDS = {
    "account": "compute epsilon of a noise under every accountant",
    "recheck": "verify a certificate of an upper end, by code of its own",
    "calibrate": "compute a noise that reaches a privacy target",
    "release": "release a few numbers with the best noise for them, and its certificate",
    "search": "run the offline noise search of LMO-DP under any accountant",
    "audit": "measure a lower bound on epsilon from samples, and compare it with the claimed and the verified epsilon",
    "claims": "check published epsilons: write a claim, check it, show what was found",
    "methods": "list the methods and whether they can be used",
    "new-method": "start a method of your own from the template",
    "models": "say which parts of a model can be trained, with the measured error of its clipping",
    "plan": "check a configuration, and list its cells with their cost",
    "fetch": "fetch data and weights pinned in data.lock",
    "summary": "print a grid's main table and where its figures are",
    "check": "check the records of a grid",
    "readme": "write the README's results block from the records",
    "export": "write a cell's trained model as a folder that transformers loads",
    "show": "print where a cell's results come from",
    "diff": "compare two grids cell by cell",
    "schema": "print the JSON schema of the configuration",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    gc.set_threshold(10_000)  # as in `lmodp.pipeline.run_bundle`
    speak_plainly()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (LmodpError, ModuleNotFoundError, OSError, MemoryError) as error:
        told = message_for_user(error)
        if told is None:
            raise
        print(f"lmodp: {told}", file=sys.stderr)
        return 2


def _run(arguments: list[str]) -> int:
    parser = _parser()
    name = next((item for item in arguments if not item.startswith("-")), None)
    if name in COMMANDS:
        command = importlib.import_module(f"lmodp.commands.{name.replace('-', '_')}")
        subparser = argparse.ArgumentParser(prog=f"lmodp {name}", description=COMMANDS[name])
        command.configure(subparser)
        position = arguments.index(name)
        status: int = command.run(subparser.parse_args(arguments[:position] + arguments[position + 1 :]))
        return status
    parser.parse_args(arguments)
    parser.print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:12s} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="lmodp",
        description="Reproducibility benchmark suite for LMO-DP.",
        epilog=f"commands (lmodp COMMAND --help):\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lmodp {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", nargs="?")
    return parser


if __name__ == "__main__":
    sys.exit(main())
