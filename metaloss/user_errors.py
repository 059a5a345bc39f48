"""Errors of other libraries and of the user's code as one line."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metaloss.checks import InputError
from metaloss.users_code import is_users


@contextmanager
def as_input_error(what: str) -> Iterator[None]:
    """Turn any exception into an :class:`~metaloss.checks.InputError`.

    This is for what is tried before a run, where any failure means that the run is not possible,
    and for libraries that raise anything when a file is damaged.

    Args:
        what: the name of what is tried; the message begins with it.

    Raises:
        InputError: anything was raised.

    Example:
        >>> from metaloss.user_errors import as_input_error
        >>> with as_input_error("model"):
        ...     {}["width"]
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: model: KeyError: 'width'
    """
    try:
        yield
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(f"{what}: ") else f"{what}: {said}") from error
    except Exception as error:
        raise InputError(f"{what}: {message_of(error)}") from error


def message_of(error: Exception) -> str:
    """Return the message of an error, and the line of the user's code that it came from.

    Example:
        >>> from metaloss.user_errors import message_of
        >>> message_of(TypeError("symmetric() missing 1 required positional argument: 'rate'"))
        'symmetric: expected a value for rate, got none'
    """
    if isinstance(error, RecursionError):
        return "expected an end, got what contains or calls itself"
    first, *more = re.sub(r" at 0x[0-9a-f]+", "", str(error)).splitlines() or [""]
    missing = re.search(r"(\w+)(?:\.__init__)?\(\) missing .* required .*arguments?: (.*)", first)
    if missing is not None:
        said = _missing(missing.group(1), re.findall(r"'(\w+)'", missing.group(2)), str(error))
    elif first and type(error) in {ValueError, RuntimeError}:
        said = first
    else:
        said = f"{type(error).__name__}: {first}".removesuffix(": ")
    calls = [line for line in more if "In call to configurable" in line]  # added by gin
    return "\n".join([said + place(error), *calls])


def _missing(name: str, arguments: list[str], whole: str) -> str:
    """Return the message about missing arguments."""
    said = f"{name}: expected a value for {' and '.join(arguments)}, got none"
    if "In call to configurable" not in whole:
        return said
    scope = re.search(rf"'{name}' \(.*\) in scope '([^']+)'", whole)
    bound = f"{scope.group(1)}/{name}" if scope else name
    said += f"; in a gin file: {bound}.{arguments[0]} = ..."
    if re.search(r"Caller supplied values for: \[(?!'self'\]|\])", whole):
        return said
    return f"{said}, or @{name} without brackets where it is called later"


def place(error: Exception) -> str:
    """Return the line of the user's code that an error came from, in brackets, if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if is_users(f.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def one_line(message: str) -> str:
    r"""Join a message into one line, without the memory addresses that gin adds.

    Example:
        >>> from metaloss.user_errors import one_line
        >>> one_line("no file\n  In call to configurable 'cifar10' (<function cifar10 at 0x7f>)")
        "no file; in 'cifar10'"
    """
    said = re.sub(r"\s*In call to configurable ('.*?') \(<.*?>\)", r"; in \1", message)
    return " ".join(said.split())
