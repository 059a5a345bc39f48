"""Experiments from gin files: the one place that knows gin.

A file imports what it names and binds the arguments of plain functions and classes; nothing is
registered, so a module of your own works like one of these. A folder that holds a given file, and
the current one, can be imported from.
"""

from __future__ import annotations

import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import gin

from metaloss.checks import InputError

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
        >>> find("experiments/demo.gin").name
        'demo.gin'
    """
    for path in (Path(name), shipped() / name):
        if path.is_file():
            return path
    raise InputError(f"{name}: expected a gin file, here or among those of {shipped()}, got none")


class Config:
    """A parsed configuration, while it lasts."""

    def build(self, cls: Callable[..., T]) -> T:
        """The object that the configuration describes.

        Raises:
            InputError: the configuration does not say enough, or says what cannot be.
        """
        with _gin_errors():
            return gin.get_configurable(cls)()

    @property
    def text(self) -> str:
        """The configuration as a gin file of its own."""
        return gin.config_str()

    @property
    def operative(self) -> str:
        """What was used so far, defaults and all, as a gin file of its own."""
        return gin.operative_config_str()


@contextmanager
def configuration(
    files: Sequence[str | Path], bindings: Sequence[str] = ()
) -> Iterator[Config]:
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
        with _gin_errors():
            gin.parse_config_files_and_bindings([str(path) for path in paths], list(bindings))
        yield Config()
    finally:
        gin.clear_config(clear_constants=True)
        sys.path[:] = before


@contextmanager
def _gin_errors() -> Iterator[None]:
    """Gin's complaints, which name the file and the line, as one :class:`InputError`."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, OSError, ImportError, AttributeError, SyntaxError) as error:
        raise InputError(str(error)) from error
    except tokenize.TokenError as error:
        raise InputError(f"gin: {error.args[0]}") from error
