"""Experiments from gin files: the one place that knows gin.

A file imports what it names and binds the arguments of plain functions and classes; nothing is
registered, so a module of your own works like one of these. A folder that holds a given file, and
the current one, can be imported from.
"""

from __future__ import annotations

import difflib
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import gin

from metaloss.checks import InputError, require
from metaloss.files import user_path

T = TypeVar("T")


def shipped() -> Path:
    """The folder of the gin files that come with the package."""
    package = Path(__file__).parent
    # In a wheel they are a folder of the package; in a source tree they stand beside it.
    installed, source = package / "configs", package.parent / "gin"
    return installed if installed.is_dir() else source


def find(name: str | Path) -> Path:
    """The gin file of this name: as a path, or among those shipped with the package.

    Raises:
        InputError: there is none.

    Example:
        >>> from metaloss.config import find
        >>> find("experiments/demo.gin").name
        'demo.gin'
    """
    for path in (user_path(name), shipped() / name):
        if path.is_file():
            return path
    raise InputError(f"{name}: expected a gin file, here or among those of {shipped()}, got none")


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
        with _gin_errors():
            return gin.get_configurable(cls)(**given)

    def binds(self, what: Callable[..., object], argument: str) -> bool:
        """Whether the configuration says something of an argument of a class or a function."""
        pattern = rf"^(\w+[./])*{what.__name__}\.{argument} ="
        return re.search(pattern, self.text, re.MULTILINE) is not None

    @property
    def text(self) -> str:
        """The configuration as a gin file of its own."""
        return gin.config_str()

    @property
    def operative(self) -> str:
        """What was used so far, defaults and all, as a gin file of its own."""
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
    before = list(sys.path)
    sys.path[:0] = [folder for folder in importable if folder not in sys.path]
    gin.clear_config(clear_constants=True)
    for folder in (*importable, str(shipped())):
        gin.add_config_file_search_path(folder)
    try:
        for path in paths:
            with _gin_errors(), _files_alone():
                gin.parse_config_file(str(path))
        for binding in bindings:
            _check_macro(binding)
            _check_scope(binding)
            with _gin_errors(f"--gin_param {binding!r}: "):
                gin.parse_config(binding)
        with _gin_errors():
            gin.finalize()
        yield Config()
    finally:
        gin.clear_config(clear_constants=True)
        sys.path[:] = before


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


@contextmanager
def _gin_errors(where: str = "") -> Iterator[None]:
    """Gin's complaints, which name the file and the line, as one :class:`InputError`."""
    try:
        yield
    except InputError:
        raise
    except tokenize.TokenError as error:
        raise InputError(f"{where}{error.args[0]} (line {error.args[1][0]})") from error
    except (ValueError, TypeError, OSError, ImportError, AttributeError, SyntaxError) as error:
        raise InputError(where + _plainly(str(error))) from error


@contextmanager
def _files_alone() -> Iterator[None]:
    """Let gin look for included files in folders alone.

    It also takes the folder in ``include 'runs/sgd.gin'`` for a Python package, and falls over one
    that is none: such as the ``runs`` that every run leaves in the current folder.
    """
    readers = gin.config._FILE_READERS
    before = list(readers)
    readers[:] = [reader for reader in before if reader[0] is open]
    try:
        yield
    finally:
        readers[:] = before


def _plainly(complaint: str) -> str:
    """What gin says of a macro without a value, in words that say what to do."""
    unset = re.search(
        r"(\w+)/macro.value set to `%gin.REQUIRED`|No bindings specified for '(\w+)/gin.macro'|"
        r"(?s:macro\(\) missing .*in scope '(\w+)')",
        complaint,
    )
    if unset is None:
        return complaint
    name = next(group for group in unset.groups() if group)
    return f"{name}: required, got nothing; set it in a gin file, or --gin_param '{name} = ...'"
