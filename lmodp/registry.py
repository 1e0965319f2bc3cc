"""Methods are found by being there: every file of ``baselines/`` that defines one."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from lmodp.errors import InvalidValue, MissingFile, nearest
from lmodp.method import Method

BASELINES = Path(__file__).resolve().parent.parent / "baselines"


@cache
def load_methods(folder: str | None = None) -> dict[str, Method]:
    """Return the methods of ``baselines/`` and of a further folder, by name.

    Raises:
        MissingFile: the further folder is not there.
        InvalidValue: two files define a method of one name, or a file defines none.
    """
    methods: dict[str, Method] = {}
    for path in method_paths(folder):
        method = _load(path)
        if method.name in methods:
            raise InvalidValue(f"method = {method.name!r}: is defined twice, the second time in {path.name}. Rename one.")
        methods[method.name] = method
    return methods


@cache
def method_files(folder: str | None = None) -> dict[str, Path]:
    """Return the file of every method, by method name."""
    return {_load(path).name: path for path in method_paths(folder)}


def get_method(name: str, folder: str | None = None) -> Method:
    """Return one method.

    Raises:
        InvalidValue: there is none of that name.
    """
    methods = load_methods(folder)
    if name not in methods:
        raise InvalidValue(f"method = {name!r}: unknown method. {nearest(name, methods)}")
    return methods[name]


def method_paths(folder: str | None = None) -> list[Path]:
    """Return the files that may define methods; names with a leading underscore do not count."""
    folders = [BASELINES]
    if folder is not None:
        if not Path(folder).is_dir():
            raise MissingFile(f"baselines_folder = {folder!r}: is not a folder. Give the folder of your plug-ins.")
        folders.append(Path(folder))
    return [path for place in folders for path in sorted(place.glob("*.py")) if not path.name.startswith("_")]


@cache
def _load(path: Path) -> Method:
    module = _import(path)
    classes = [item for _, item in inspect.getmembers(module, inspect.isclass)
               if issubclass(item, Method) and item.__module__ == module.__name__]
    if len(classes) != 1:
        raise InvalidValue(f"method file = {path.name!r}: defines {len(classes)} methods, must define one. See baselines/README.md.")
    return classes[0]()


def _import(path: Path) -> ModuleType:
    name = f"baselines.{path.stem}" if path.parent == BASELINES else f"lmodp_plugin_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]  # a half-executed module would be found next time
            raise
    return sys.modules[name]
