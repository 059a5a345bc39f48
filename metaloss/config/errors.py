"""Errors of gin, with messages that say what to do."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gin

from metaloss.checks import InputError
from metaloss.gin_files import that_binds
from metaloss.user_errors import message_of, place


@contextmanager
def gin_errors(where: str = "") -> Iterator[None]:
    """Turn any exception that gin raises into an :class:`InputError`.

    The message begins with ``where``.

    Raises:
        InputError: anything was raised; the message has the file and the line where gin names them.
    """
    try:
        yield
    except InputError:
        raise
    except tokenize.TokenError as error:
        raise InputError(f"{where}{error.args[0]} (line {error.args[1][0]})") from error
    except RecursionError:  # its text, which gin made, is as deep; and so is its traceback
        raise InputError(
            f"{where}expected an end, got what contains or calls itself, such as a file that "
            "includes itself"
        ) from None
    except Exception as error:
        raise InputError(where + _plainly(error)) from error


def _plainly(error: Exception) -> str:
    whole = str(error)
    for pattern, said in _SAID.items():
        found = re.search(pattern, whole, re.DOTALL)
        if found is not None:
            return said(*(group for group in found.groups() if group))
    if isinstance(error, KeyError) and "gin.config" in whole:
        return "expected no function of gin's own, got one; a macro is written %NAME"
    if isinstance(error, RecursionError | KeyError) or "missing" in whole:
        scope = re.search(r"in scope '(\w+)'", whole)
        file = that_binds(scope.group(1)) if scope else None
        return message_of(error) + (f"; include '{file}', which binds it" if file else "")
    return whole + place(error)


def _unset(name: str) -> str:
    return f"{name}: required, got nothing; set it in a gin file, or --gin_param '{name} = ...'"


def _no_value(token: str, where: str) -> str:
    return (
        f"{token}: expected a value, such as 3, 'text', (1, 2), %MACRO or @module.name, "
        f"got a bare word {where}"
    )


def _not_imported(name: str, where: str = "") -> str:
    said = f"{name}: expected a name that this file imports, got none of them"
    for statement in gin.config._IMPORTS:
        if statement.bound_name() == name:
            said += f"; write {statement.format()!r} in it"
    file = that_binds(name)
    if file:
        said += f"; to call what '{file}' binds: include it, and put the scope before the name"
    return f"{said} ({where})" if where else said


_SAID: dict[str, Callable[..., str]] = {
    r"(\w+)/macro.value set to `%gin.REQUIRED`|No bindings specified for '(\w+)/gin.macro'|"
    r"macro\(\) missing .*in scope '(\w+)'": _unset,
    r"malformed node .*Failed to parse token '([^\n]+)' (\([^\n]*\))": _no_value,
    r"'(\w+)' was not provided by an import statement\.(?:\s*In file ([^\n]*, line \d+))?": (
        _not_imported
    ),
}
