"""Configurations from gin files.

A gin file imports modules and binds the arguments of plain functions and classes. Nothing is
registered, so your own modules work like those of this package. Modules can also be imported from
the folders of the given files and from the current folder, after all that is installed.
"""

from __future__ import annotations

import copy
import pprint
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from importlib.machinery import PathFinder
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import gin

from metaloss.checks import InputError, did_you_mean, require
from metaloss.config.errors import gin_errors
from metaloss.config.keys import check_keys, open_checked
from metaloss.files import read_text
from metaloss.gin_files import find, shipped

T = TypeVar("T")


class Config:
    """A parsed configuration, valid inside the block of :func:`configuration`."""

    def build(self, cls: Callable[..., T], **given: object) -> T:
        """Build the object that the configuration describes.

        ``given`` are further arguments of the class, which the configuration does not bind.

        Raises:
            InputError: The configuration is incomplete or invalid.
        """
        with gin_errors():
            try:
                make = gin.get_configurable(cls)
            except ValueError:  # no file imports it
                raise InputError(
                    f"expected gin files that bind arguments of {cls.__name__}, got none"
                ) from None
            return make(**given)

    def argument(self, cls: Callable[..., Any], name: str) -> Any:
        """Return the value of one argument of a class; nothing else of the class is built.

        Raises:
            InputError: The configuration does not bind it, or the value cannot be built.
        """
        require(self.binds(cls, name), f"{cls.__name__}.{name}: required, got nothing")
        with gin_errors():  # a copy of gin's own value is the value that it stands for
            return copy.deepcopy(gin.query_parameter(f"{cls.__name__}.{name}"))

    def binds(self, what: Callable[..., object] | str, argument: str) -> bool:
        """Return whether an argument of a class or a function, or of one so named, is bound."""
        name = what if isinstance(what, str) else what.__name__
        pattern = rf"^(\w+[./])*{name}\.{argument} ="
        return re.search(pattern, self.text, re.MULTILINE) is not None

    @cached_property
    def text(self) -> str:
        """The configuration as one gin file."""
        with gin_errors(), _dicts_as_written():
            return gin.config_str()

    @property
    def operative(self) -> str:
        """All values used so far, including defaults, as one gin file."""
        with gin_errors(), _dicts_as_written():
            return gin.operative_config_str()


@contextmanager
def configuration(
    files: Sequence[str | Path],
    bindings: Sequence[str] = (),
    *,
    where_used: Sequence[str] = (),
    text: str = "",
    importable: Sequence[str] = (),
) -> Iterator[Config]:
    """Parse gin files and single bindings; later ones override earlier ones.

    Args:
        files: paths, or names of files shipped with the package.
        bindings: bindings such as ``"Recipe.epochs = 3"``, with the names that the files import.
        where_used: further bindings, read last. Those of macros and scopes that nothing uses are
            left out, not refused.
        text: the text of a gin file that is read first, such as another :attr:`Config.text`.
        importable: further folders that modules can be imported from.

    Yields:
        The configuration, which is cleared when the block ends.

    Raises:
        InputError: A file or a binding is invalid; the message names the file and the line.
    """
    paths = [find(name).resolve() for name in files]
    importable = [*(str(path.parent) for path in paths), *importable, str(Path.cwd())]
    gin.clear_config(clear_constants=True)
    with _importing_from(importable), _including_from([*importable, str(shipped())]):
        try:
            with gin_errors():
                gin.parse_config(text)
            for path in paths:
                read_text(path)  # gin would not say which file has other bytes
                with gin_errors():
                    gin.parse_config_file(str(path))
            for binding in bindings:
                wrong = _unused(binding)
                require(not wrong, f"--gin_param {binding!r}: {wrong}")
                _parse_one(binding)
            for binding in where_used:
                if not _unused(binding):
                    _parse_one(binding)
            with gin_errors():
                gin.finalize()
            _check_modules(importable)
            yield Config()
        finally:
            gin.clear_config(clear_constants=True)


@contextmanager
def _importing_from(folders: Sequence[str]) -> Iterator[None]:
    """Let Python also import modules from these folders, after all others.

    If they came first, a user's file called ``sklearn.py`` would replace the library.
    """
    before = list(sys.path)
    sys.path += [folder for folder in dict.fromkeys(folders) if folder not in before]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _including_from(folders: Sequence[str]) -> Iterator[None]:
    """Let gin look for included files in these folders only.

    Gin never forgets a folder that it was given. It also takes the folder in
    ``include 'runs/sgd.gin'`` for a Python package, and fails if it is none, such as the folder
    ``runs`` that every run leaves in the current folder.
    """
    places, readers = gin.config._LOCATION_PREFIXES, gin.config._FILE_READERS
    before = list(places), list(readers)
    places[:] = folders
    readers[:] = [(open_checked, exists) for reader, exists in readers if reader is open]
    try:
        yield
    finally:
        places[:], readers[:] = before


@contextmanager
def _dicts_as_written() -> Iterator[None]:
    """Let gin write dicts in their own order, such as that of tasks; it would sort them."""
    before = gin.config.pprint
    gin.config.pprint = SimpleNamespace(pformat=partial(pprint.pformat, sort_dicts=False))
    try:
        yield
    finally:
        gin.config.pprint = before


def _parse_one(binding: str) -> None:
    """Parse a single binding; errors say which it is."""
    check_keys(binding, f"--gin_param {binding!r}")
    with gin_errors(f"--gin_param {binding!r}: "):
        _parse(binding)


def _parse(binding: str) -> None:
    """Parse a single binding, which may use any name that the files import.

    By itself gin knows only names that the files bind or call.
    """
    try:
        gin.parse_config(binding)
    except ValueError:
        try:
            gin.parse_config([*_imports(), binding])
        except NameError:
            pass
        else:
            return
        raise


def _imports() -> list[str]:
    """Return the files' import statements, without names that stand for several modules."""
    gin_first = "from __gin__ import dynamic_registration"
    others: dict[str, set[str]] = {}
    for statement in gin.config._IMPORTS:
        if statement.format() != gin_first:
            others.setdefault(statement.bound_name(), set()).add(statement.format())
    return [gin_first, *(line for (line, *more) in others.values() if not more)]


def _check_modules(folders: Sequence[str]) -> None:
    """Raise an error if a name now means another file than the module imported under it."""
    elsewhere = [folder for folder in sys.path if folder not in folders]
    others = [finder for finder in sys.meta_path if finder is not PathFinder]
    for name in {statement.module.partition(".")[0] for statement in gin.config._IMPORTS}:
        used = getattr(sys.modules.get(name), "__file__", None)
        spec = PathFinder.find_spec(name, folders)
        if not used or not spec or not spec.origin:
            continue
        found = [PathFinder.find_spec(name, elsewhere)]
        installed = any([*found, *(finder.find_spec(name, None) for finder in others)])
        require(
            installed or Path(used).resolve() == Path(spec.origin).resolve(),
            f"{name}: expected {spec.origin}, but this process has imported {used} under that "
            "name; start another one, or rename it",
        )


def _unused(binding: str) -> str:
    """Return what is wrong with a macro or a scope that nothing uses: gin accepts a misspelt one.

    The text is empty if it is used, or if the binding is of neither.
    """
    bound = gin.config._CONFIG
    values = repr(bound)  # gin.config_str takes 50 times as long
    macros = re.findall(r"%(\w+)", values)
    scopes = [scope for scope, name in bound if scope and name != "gin.macro"]
    scopes += re.findall(r"@([\w./]+)/[\w.]+", values)
    for what, pattern, used in (
        ("macro", r"(\w+)", macros),
        ("scope", r"([\w./]+)/[\w.]+", scopes),
    ):
        given = re.match(rf"\s*{pattern}\s*=", binding)
        if given is not None:
            known = sorted(set(used))
            if given.group(1) not in known:
                hint = did_you_mean(given.group(1), known) or _all_of(known)
                return f"expected a {what} that the gin files use, got none of them{hint}"
    return ""


def _all_of(known: Sequence[str]) -> str:
    return f"; they use {', '.join(known)}" if known else ""
