"""Where the user's own code stands, for errors and warnings to point at."""

from __future__ import annotations

import sys
import sysconfig
import traceback
import warnings
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# The root of a virtual environment, which "data" is, may be the user's project.
_FOLDERS = (Path(path) for name, path in sysconfig.get_paths().items() if name != "data")
_INSTALLED = [_HERE, _HERE.parent / "tasks", *_FOLDERS]


def is_users(file: str) -> bool:
    """Return whether a source file is the user's, not one of this package, Python or a library.

    Example:
        >>> import pathlib
        >>> from metaloss.users_code import is_users
        >>> is_users("/home/me/train.py"), is_users("<string>"), is_users(pathlib.__file__)
        (True, False, False)
    """
    path = Path(file)
    if file.startswith("<") or not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
        return False
    return not any(folder in path.parents for folder in _INSTALLED)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that the call came from.

    Where no such line is found, as in the shell, it is the caller's.

    Example:
        >>> import warnings
        >>> from metaloss.users_code import warn
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn("a batch is left out")
        >>> str(caught[0].message)
        'a batch is left out'
    """
    stack = traceback.walk_stack(sys._getframe(1))
    files = [frame.f_code.co_filename for frame, _ in stack]
    level = next((n for n, file in enumerate(files, 2) if is_users(file)), 2)
    warnings.warn(message, category, stacklevel=level)
