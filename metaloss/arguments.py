"""Checks of arguments against their type annotations.

Settings come from gin files and notebooks. The most common mistakes there are a missing or an extra
pair of brackets, and a name in quotes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Union

import numpy as np

from metaloss.checks import InputError

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    type: "a class",
    type(None): "None",
    Mapping: "a dictionary",
    Callable: "a function",
}
_PLURAL = {int: "whole numbers", float: "numbers", str: "texts", type: "classes"}


def check_arguments(made: object) -> None:
    """Check the fields of a dataclass against their annotations.

    Ranges of numbers are checked where they are used. NumPy's numbers and arrays are replaced by
    Python's, so that they can be written as JSON.

    Args:
        made: a frozen dataclass, in its ``__post_init__``.

    Raises:
        InputError: a field has another type; the message says what to write instead.

    Example:
        >>> from dataclasses import dataclass
        >>> from metaloss.arguments import check_arguments
        >>> @dataclass(frozen=True)
        ... class Seeds:
        ...     numbers: Sequence[int]
        ...
        ...     def __post_init__(self):
        ...         check_arguments(self)
        >>> Seeds(np.arange(3))
        Seeds(numbers=[0, 1, 2])
        >>> Seeds("012")
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: numbers: expected a list of whole numbers, got '012'
    """
    try:
        hints = typing.get_type_hints(type(made))
    except (NameError, AttributeError, TypeError):  # for example imported only for type checkers
        return
    for field in fields(made):  # type: ignore[arg-type]
        if hasattr(made, field.name):  # a subclass may set it later
            value = checked(field.name, getattr(made, field.name), hints[field.name])
            object.__setattr__(made, field.name, value)


def checked(name: str, value: Any, hint: Any) -> Any:
    """Check one argument; see :func:`check_arguments`.

    Returns:
        The value, with NumPy's numbers and arrays replaced by Python's.

    Raises:
        InputError: the value has another type.

    Example:
        >>> from metaloss.arguments import checked
        >>> checked("threads", None, int | None)
        >>> checked("make", 3.5, Callable[[], int])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: make: expected a function that returns a whole number, got 3.5
    """
    hints = _alternatives(hint)
    plain = any(each in {int, float, str, bool} or _is_sequence(each) for each in hints)
    if plain and isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if not any(_fits(value, each) for each in hints):
        raise InputError(
            f"{name}: expected {_said(hint)}, got {shown(value)}{_instead(value, hints)}"
        )
    for each in hints:
        if _is_sequence(each) and _fits(value, each) and typing.get_args(each):
            of = typing.get_args(each)[0]
            found = [checked(f"{name}[{i}]", element, of) for i, element in enumerate(value)]
            if any(new is not old for new, old in zip(found, value, strict=True)):
                value = tuple(found) if isinstance(value, tuple) else found
        if typing.get_origin(each) is Mapping and isinstance(value, Mapping):
            for key, element in value.items():
                checked(f"{name}[{key!r}]", element, typing.get_args(each)[1])
    return value


def shown(value: object) -> str:
    """Describe a value in a few words.

    Example:
        >>> from metaloss.arguments import shown
        >>> shown("GCE"), shown(int), shown(shown), shown({1})
        ("'GCE'", 'the class int', 'the function shown', 'a set')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if callable(value) and hasattr(value, "__name__"):
        return f"the function {value.__name__}"
    return _an(type(value).__name__)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    union = typing.get_origin(hint) in {Union, types.UnionType}
    return typing.get_args(hint) if union else (hint,)


def _fits(value: object, hint: Any) -> bool:
    if hint in {int, float}:  # the check of the range has a better message
        return True
    if hint is type(None):
        return value is None
    if _is_sequence(hint):
        return isinstance(value, Sequence) and not isinstance(value, str | bytes)
    origin = typing.get_origin(hint) or hint
    if origin is Callable:
        return callable(value) and not _is_result(value, hint)
    try:
        return isinstance(value, origin)
    except TypeError:  # isinstance does not support this type
        return True


def _is_sequence(hint: Any) -> bool:
    return typing.get_origin(hint) in {Sequence, tuple, list}


def _is_result(value: object, hint: Any) -> bool:
    """Return whether the value is what the function should have returned, such as a network."""
    returned = _alternatives((typing.get_args(hint) or (None,))[-1])
    classes = tuple(r for r in returned if isinstance(r, type) and r not in {object, Any})
    any_function = isinstance(_is_result, classes)  # a function that returns a function
    return isinstance(value, classes) and not any_function


def _instead(value: object, hints: Sequence[Any]) -> str:
    """Return what was most likely meant."""
    functions = [h for h in hints if (typing.get_origin(h) or h) is Callable]
    if any(_is_result(value, hint) for hint in functions):
        return "; give the function itself: in a gin file, leave out the brackets behind its name"
    if functions:
        quoted = isinstance(value, str)
        return "; in a gin file a function is written @module.name" if quoted else ""
    elements = [typing.get_args(h)[0] for h in hints if _is_sequence(h) and typing.get_args(h)]
    if any(_fits(value, of) for of in elements if of not in {int, float}):
        return "; put it into a list, in square brackets"
    classes = [h for h in hints if isinstance(h, type) and h not in _WORDS]
    if callable(value) and (classes or elements):
        return f"; give what it makes: in a gin file, @{getattr(value, '__name__', '...')}()"
    if isinstance(value, str) and classes:
        return "; in a gin file an object is written @module.Name()"
    return ""


def _said(hint: Any) -> str:
    """Describe a type in words."""
    args = typing.get_args(hint)
    origin = typing.get_origin(hint) or hint
    if len(_alternatives(hint)) > 1:
        return " or ".join(dict.fromkeys(_said(each) for each in args))
    if _is_sequence(hint):
        of = args[0] if args else Any
        return f"a list of {_PLURAL.get(of) or getattr(of, '__name__', 'values') + 's'}"
    if origin is Callable and args and args[-1] is not Any:
        return f"a function that returns {_said(args[-1])}"
    return _WORDS.get(origin) or _an(getattr(origin, "__name__", str(origin)))


def _an(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"
