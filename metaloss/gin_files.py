"""The gin files that come with the package."""

from __future__ import annotations

from pathlib import Path

from metaloss.checks import InputError, require
from metaloss.files import user_path


def shipped() -> Path:
    """Return the folder of the gin files that come with the package."""
    package = Path(__file__).parent
    # A wheel has them inside the package, a source tree beside it.
    installed, source = package / "configs", package.parent / "gin"
    return installed if installed.is_dir() else source


def find(name: str | Path) -> Path:
    """Return the gin file with this path, or with this name among those of the package.

    Raises:
        InputError: there is no such file, or it is Python code.

    Example:
        >>> from metaloss.config import find
        >>> find("experiments/demo.gin").name
        'demo.gin'
    """
    for path in (user_path(name), shipped() / name):
        if path.is_file():
            require(path.suffix != ".py", f"{path}: expected a gin file, got Python code")
            return path
    raise InputError(f"{name}: expected a gin file, here or among those of {shipped()}, got none")


def that_binds(scope: str) -> str | None:
    """Return the name of the package's gin file that has bindings in this scope, if any.

    Example:
        >>> from metaloss.gin_files import that_binds
        >>> that_binds("a_js"), that_binds("mine")
        ('losses/js.gin', None)
    """
    for path in sorted(shipped().glob("*/*.gin")):
        if any(line.startswith(f"{scope}/") for line in path.read_text().splitlines()):
            return path.relative_to(shipped()).as_posix()
    return None
