"""Finds methods: in ``baselines/``, in a configured folder, and among installed entry points.

A faulty method cannot break the listing: it appears as a `BrokenMethod` with the
reason.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from lmodp.errors import FOREIGN_ERRORS, Fault, InvalidValue, MissingFile, describe_error, nearest, one_line, require
from lmodp.methods.contract import BrokenMethod, Method, missing_package
from lmodp.vocabulary import CALIBRATIONS, CLIPPINGS, OWN_ENGINE, UNTRAINED, is_foreign

BASELINES = (Path(__file__).resolve().parent.parent / "baselines").resolve()  # a link in a checkout
ENTRY_POINTS = "lmodp.methods"
_STATED = ("name", "title", "reference")
_CONTRACT = "The contract is baselines/README.md."
_PARTS = ("full", "head", "last_layers", "lora", "bitfit", UNTRAINED)
_CONTRACT_NAMES = {key for key in (*vars(Method), *Method.__annotations__) if key[0] != "_"}


def _texts(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value)


def _part(value: Any) -> bool:
    named = [*value] if isinstance(value, Mapping) else [value]
    return len(named) == 1 and isinstance(named[0], str) and named[0] in _PARTS


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys((*_STATED, "clipping", "engine"), ("a text", lambda value: isinstance(value, str))),
    **dict.fromkeys(
        ("after_noise", "mechanism_of", "noise_of"),
        ("a text or None", lambda value: value is None or isinstance(value, str)),
    ),
    "calibrations": ("a tuple of texts", _texts),
    **dict.fromkeys(
        ("tasks", "architectures"), ("a tuple of texts, or None for all", lambda value: value is None or _texts(value))
    ),
    **dict.fromkeys(
        ("requires", "not_under"),
        ("a table of texts", lambda value: isinstance(value, Mapping) and _texts([*value, *value.values()])),
    ),
    **dict.fromkeys(("needs_search", "needs_dimension"), ("True or False", lambda value: isinstance(value, bool))),
    "forward_passes": (
        "a whole number above 0, or None",
        lambda value: value is None or (type(value) is int and value > 0),
    ),
    "trainable": (
        f"None, one of {', '.join(_PARTS)}, or a table with one of them",
        lambda value: value is None or _part(value),
    ),
}


@dataclass(frozen=True)
class Found:
    """A method and where it was found.

    Args:
        method: the method; a `BrokenMethod` if it cannot be used.
        origin: text for people: the file's name, or the entry point with its package.
        file: source file; None for an entry point without one.
    """

    method: Method
    origin: str
    file: Path | None

    @property
    def broken(self) -> bool:
        """Whether the method is faulty; a missing optional package does not count."""
        return isinstance(self.method, BrokenMethod)

    @property
    def status(self) -> str:
        """ "ok", "missing package: ...", or what is broken and why."""
        if isinstance(self.method, BrokenMethod):
            return f"{self.method.status}: {self.method.reason}"
        return missing_package(self.method) or "ok"


@cache
def find_methods(folder: str | None = None) -> dict[str, Found]:
    """Return all methods by name, broken ones included; of two with one title the later one is broken.

    Args:
        folder: a further folder of methods.

    Raises:
        MissingFile: the further folder does not exist.
    """
    by_name: dict[str, list[Found]] = {}
    for found in [*map(_from_file, method_paths(folder)), *map(_from_entry_point, _installed())]:
        by_name.setdefault(found.method.name, []).append(found)
    methods = {name: group[0] if len(group) == 1 else _duplicate(name, group) for name, group in by_name.items()}
    for fault_of in (_second_title, _shares_nothing):
        faults = {name: fault for name in methods if not methods[name].broken and (fault := fault_of(name, methods))}
        for name, fault in faults.items():
            broken = BrokenMethod(name, status="not a method", reason=one_line(str(fault)))
            methods[name] = replace(methods[name], method=broken)
    return methods


def load_methods(folder: str | None = None) -> dict[str, Method]:
    """Return all methods by name; see `find_methods`."""
    return {name: found.method for name, found in find_methods(folder).items()}


def method_files(folder: str | None = None) -> dict[str, Path]:
    """Return the source file of every method that has one, by name."""
    return {name: found.file for name, found in find_methods(folder).items() if found.file is not None}


def law_files(folder: str | None = None) -> dict[str, tuple[Path, ...]]:
    """Return the files, outside the suite's own modules, that define the noise or the releases of a method, by name.

    They are looked for where the method's class, and those that it is derived from, are defined. A method that shares
    its mechanism has the other one's.
    """
    found = load_methods(folder)
    owners = {name: found.get(method.mechanism_of or name, method) for name, method in found.items()}
    return {name: files for name, method in owners.items() if (files := _laws_beside(method))}


def _laws_beside(method: Method) -> tuple[Path, ...]:
    kinds = tuple(
        getattr(sys.modules[module], name)  # a file that defines one has imported these
        for module, name in (("lmodp.mechanisms.noise", "Noise"), ("lmodp.mechanisms.releases", "Part"))
        if module in sys.modules
    )
    places = [sys.modules.get(base.__module__) for base in type(method).__mro__]
    seen = {item for place in places for item in vars(place).values() if inspect.isclass(item)}
    laws = [item for item in seen if issubclass(item, kinds) and is_foreign(item)]
    return tuple(sorted({Path(source) for item in laws if (source := inspect.getsourcefile(item))}))


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
    """Return the files that define methods: every Python file whose name does not begin with ``__``."""
    folders = [BASELINES]
    if folder is not None:
        if not Path(folder).is_dir():
            raise MissingFile(f"methods_folder = {folder!r}: is not a folder. Give the folder of your methods.")
        folders.append(Path(folder).resolve())
    return [path for place in folders for path in sorted(place.glob("*.py")) if not path.name.startswith("__")]


def method_name(path: Path) -> str:
    """Return the name that the method in a file must have: the file's name without a leading underscore."""
    return path.stem.lstrip("_")


def _installed() -> Iterator[EntryPoint]:
    return iter(sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value)))


def _duplicate(name: str, group: list[Found]) -> Found:
    origins = " and ".join(found.origin for found in group)
    reason = f"{name!r} is defined by {origins}. Rename all but one."
    return Found(BrokenMethod(name, status="duplicate name", reason=reason), origins, None)


def _second_title(name: str, found: Mapping[str, Found]) -> Fault | None:
    title = one_line(found[name].method.title)
    first = next(other for other in found.values() if not other.broken and one_line(other.method.title) == title)
    rule = f"is that of {first.origin}: their rows would look alike"
    return None if first is found[name] else Fault("title", title, rule, "Give it another.")


def _shares_nothing(name: str, found: Mapping[str, Found]) -> Fault | None:
    shared = found[name].method.mechanism_of
    known = [other for other, item in found.items() if item.method.private and not item.broken]
    if shared is None or shared in known:
        return None
    return Fault("mechanism_of", shared, "must be a method that is private, and not broken", nearest(shared, known))


def _from_file(path: Path) -> Found:
    name = method_name(path)
    try:
        method = _method_in(_import(path), name)
    except FOREIGN_ERRORS as error:
        return Found(_broken(name, error), path.name, path)
    return Found(method, path.name, path)


def _from_entry_point(point: EntryPoint) -> Found:
    origin = f"entry point {point.value!r}" + (f" of {point.dist.name}" if point.dist else "")
    try:
        loaded = point.load()
        method = _method_in(loaded, point.name)
    except FOREIGN_ERRORS as error:
        return Found(_broken(point.name, error), origin, None)
    source = inspect.getsourcefile(type(method))
    return Found(method, origin, Path(source) if source else None)


def _broken(name: str, error: BaseException) -> BrokenMethod:
    if isinstance(error, InvalidValue):
        return BrokenMethod(name, status="not a method", reason=one_line(str(error)))
    return BrokenMethod(name, status="import error", reason=describe_error(error))


def _method_in(source: ModuleType | type, name: str) -> Method:
    """Return the one method that a module defines, or an instance of the class given.

    A base class without its own ``name`` does not count, nor does a class that the
    module imports from another module.
    """
    classes = (
        [source]
        if inspect.isclass(source)
        else [item for _, item in inspect.getmembers(source, inspect.isclass) if item.__module__ == source.__name__]
    )
    methods = [item for item in classes if issubclass(item, Method) and "name" in vars(item)]
    if len(methods) != 1:
        raise InvalidValue(f"{name!r} defines {len(methods)} methods, must define one. {_CONTRACT}")
    method = methods[0]()
    check_method(method, name)
    return method


def check_method(method: Method, name: str) -> None:
    """Raise an error if a method's attributes break the contract.

    Raises:
        InvalidValue: the first broken rule.
    """
    missing = [key for key in _STATED if not getattr(method, key, None)]
    require(not missing, "class", type(method).__name__, f"must state {', '.join(missing)}", _CONTRACT)
    _require_known_attributes(method)
    for key, (words, valid) in _KINDS.items():
        require(valid(getattr(method, key)), key, getattr(method, key), f"must be {words}", _CONTRACT)
    kind, remedy = type(method), "Rename one of the two."
    require(method.name == name, "name", method.name, f"must be {name!r}, the name of the file or entry point", remedy)
    for key, found, known in (
        ("calibrations", method.calibrations, CALIBRATIONS),
        ("clipping", [method.clipping], CLIPPINGS),
    ):
        require(set(found) <= set(known), key, getattr(method, key), f"must be among {', '.join(known)}", _CONTRACT)
    rule = "does not bound the sensitivity, so no privacy statement is possible"
    bounded = not method.private or method.clipping != "none"
    require(bounded, "clipping", method.clipping, rule, "Use 'flat', or set calibrations = ().")
    rule = "says in a few words what build_optimizer() returns: a method has both or neither"
    both = bool(method.after_noise) == (kind.build_optimizer is not Method.build_optimizer)
    require(both, "after_noise", method.after_noise, rule, _CONTRACT)
    both = (method.engine != OWN_ENGINE) == (kind.load_engine is not Method.load_engine)
    require(both, "engine", method.engine, "names what load_engine() returns: a method has both or neither", _CONTRACT)
    rule = "would replace the mechanism() that the class defines"
    remedy = "Set mechanism_of = None, or leave mechanism() out."
    require(not _hides_mechanism(method), "mechanism_of", method.mechanism_of, rule, remedy)
    rule, remedy = (
        "must not be empty for a method that defines mechanism()",
        "State them, so that its noise is certified.",
    )
    certified = method.private or kind.mechanism is Method.mechanism
    require(certified, "calibrations", method.calibrations, rule, remedy)


def _hides_mechanism(method: Method) -> bool:
    """Whether a class that defines mechanism() says, or inherits, that another's is taken in its place."""
    first = next(base for base in type(method).__mro__ if {"mechanism", "mechanism_of"} & set(vars(base)))
    return method.mechanism_of is not None and "mechanism" in vars(first)


def _require_known_attributes(method: Method) -> None:
    """Raise if a method has a public name that the contract does not know: nothing would read it."""
    own = [vars(kind) for kind in type(method).__mro__ if kind not in Method.__mro__]
    for key in sorted({key for names in (*own, vars(method)) for key in names if key[0] != "_"} - _CONTRACT_NAMES):
        remedy = f"{nearest(key, _CONTRACT_NAMES)} A helper of your own begins with an underscore. {_CONTRACT}"
        raise InvalidValue(str(Fault(key, getattr(method, key), "is not in the contract and would be ignored", remedy)))


def _import(path: Path) -> ModuleType:
    name = f"lmodp.baselines.{path.stem}" if path.parent == BASELINES else f"lmodp_method_{path.stem}"
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # otherwise the next import would find a half-executed module
        raise
    return module
