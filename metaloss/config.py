"""Experiments from gin files: the one place that knows gin.

A file imports what it names and binds the arguments of plain functions and classes; nothing is
registered, so a module of your own works like one of these. A folder that holds a given file, and
the current one, can be imported from, after all that is installed.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TypeVar

import gin

from metaloss.checks import require
from metaloss.gin_errors import gin_errors
from metaloss.gin_files import find, shipped

T = TypeVar("T")

__all__ = ["Config", "configuration", "find", "shipped"]


class Config:
    """A parsed configuration, while it lasts."""

    def build(self, cls: Callable[..., T], **given: object) -> T:
        """The object that the configuration describes.

        Args:
            cls: its class.
            given: arguments that are not the configuration's to say.

        Raises:
            InputError: the configuration does not say enough, or says what cannot be.
        """
        with gin_errors():
            return gin.get_configurable(cls)(**given)

    def binds(self, what: Callable[..., object], argument: str) -> bool:
        """Whether the configuration says something of an argument of a class or a function."""
        pattern = rf"^(\w+[./])*{what.__name__}\.{argument} ="
        return re.search(pattern, self.text, re.MULTILINE) is not None

    @property
    def text(self) -> str:
        """The configuration as a gin file of its own."""
        with gin_errors():
            return gin.config_str()

    @property
    def operative(self) -> str:
        """What was used so far, defaults and all, as a gin file of its own."""
        with gin_errors():
            return gin.operative_config_str()


@contextmanager
def configuration(files: Sequence[str | Path], bindings: Sequence[str] = ()) -> Iterator[Config]:
    """Parse gin files and single bindings, later ones over earlier ones.

    Args:
        files: paths, or names among the files shipped with the package.
        bindings: such as ``"Recipe.epochs = 3"``, with the names that the files import.

    Yields:
        The configuration; it is forgotten when the block ends.

    Raises:
        InputError: whatever gin finds wrong, with the file and the line.
    """
    paths = [find(name).resolve() for name in files]
    importable = [str(path.parent) for path in paths] + [str(Path.cwd())]
    gin.clear_config(clear_constants=True)
    with _importing_from(importable), _including_from([*importable, str(shipped())]):
        try:
            for path in paths:
                with gin_errors():
                    gin.parse_config_file(str(path))
            for binding in bindings:
                _check_macro(binding)
                _check_scope(binding)
                with gin_errors(f"--gin_param {binding!r}: "):
                    _parse(binding)
            with gin_errors():
                gin.finalize()
            _check_modules(importable)
            yield Config()
        finally:
            gin.clear_config(clear_constants=True)


@contextmanager
def _importing_from(folders: Sequence[str]) -> Iterator[None]:
    """Let Python look for modules in more folders, after all others.

    First, a file of the user's called ``sklearn.py`` would stand for the library.
    """
    before = list(sys.path)
    sys.path += [folder for folder in dict.fromkeys(folders) if folder not in before]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _including_from(folders: Sequence[str]) -> Iterator[None]:
    """Let gin look for included files in these folders alone.

    Gin keeps the folders that it was once given. It also takes the folder in
    ``include 'runs/sgd.gin'`` for a Python package, and falls over one that is none: such as the
    ``runs`` that every run leaves in the current folder.
    """
    places, readers = gin.config._LOCATION_PREFIXES, gin.config._FILE_READERS
    before = list(places), list(readers)
    places[:] = folders
    readers[:] = [reader for reader in readers if reader[0] is open]
    try:
        yield
    finally:
        places[:], readers[:] = before


def _parse(binding: str) -> None:
    """Parse a single binding, with the names that the files import.

    Gin itself knows those alone that the files bind or call.
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
    """What the files import, where one name stands for one module."""
    gin_first = "from __gin__ import dynamic_registration"
    others: dict[str, set[str]] = {}
    for statement in gin.config._IMPORTS:
        if statement.format() != gin_first:
            others.setdefault(statement.bound_name(), set()).add(statement.format())
    return [gin_first, *(line for (line, *more) in others.values() if not more)]


def _check_modules(folders: Sequence[str]) -> None:
    """Python keeps a module that was once imported, also where another file has its name now."""
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


def _check_macro(binding: str) -> None:
    """Gin sets any macro, also one that nothing reads: a slip of the pen would do nothing."""
    macro = re.match(r"\s*(\w+)\s*=", binding)
    if macro is None:
        return
    names = sorted(set(re.findall(r"%(\w+)", gin.config_str())))
    require(
        macro.group(1) in names,
        f"--gin_param {binding!r}: expected a macro that the gin files use, got none of them"
        f"{_hint(macro.group(1), names)}",
    )


def _check_scope(binding: str) -> None:
    """Gin takes any scope, also one that nothing is called in: it would do nothing, as a macro."""
    scoped = re.match(r"\s*([\w./]+)/[\w.]+\s*=", binding)
    if scoped is None:
        return
    known = sorted(set(re.findall(r"(?:@|^)([\w./]+)/[\w.]+", gin.config_str(), re.MULTILINE)))
    require(
        scoped.group(1) in known,
        f"--gin_param {binding!r}: expected a scope that the gin files use, got none of them"
        f"{_hint(scoped.group(1), known)}",
    )


def _hint(word: str, known: Sequence[str]) -> str:
    """What was meant, most likely; or all that could be."""
    close = difflib.get_close_matches(word, known, n=1) or [", ".join(known)]
    return f"; did you mean {close[0]}?" if known else ""
