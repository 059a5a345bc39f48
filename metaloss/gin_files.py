"""The gin files that come with the package."""

from __future__ import annotations

from pathlib import Path

from metaloss.checks import InputError
from metaloss.files import user_path


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


def that_binds(scope: str) -> str | None:
    """The file, by its name among those shipped, whose bindings have this scope.

    Example:
        >>> from metaloss.gin_files import that_binds
        >>> that_binds("a_js"), that_binds("mine")
        ('losses/js.gin', None)
    """
    for path in sorted(shipped().glob("*/*.gin")):
        if any(line.startswith(f"{scope}/") for line in path.read_text().splitlines()):
            return path.relative_to(shipped()).as_posix()
    return None
