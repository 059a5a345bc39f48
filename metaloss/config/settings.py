"""What a configuration sets, to tell whether two configurations describe the same run.

The text of a configuration is parsed without its modules, so that those need not be there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gin.config_parser import BindingStatement, ConfigParser, ImportStatement, ParserDelegate

from metaloss.checks import InputError
from metaloss.config.errors import gin_errors
from metaloss.files import user_path

# Classes whose values are fields of a run's identity, which compares them, or are no part of it,
# such as the device and the number of processes.
_OF_IDENTITY = {"FabricEngine", "Lookahead", "Recipe", "RunSettings", "Speed", "TaskSampler"}
# How data is read. What is read is in the identity.
_OF_READING = {"cache", "timeout", "workers"}


@dataclass(frozen=True)
class _Macro:
    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True)
class _Reference:
    scope: str
    name: str
    end: str

    def __repr__(self) -> str:
        return f"@{_scoped(self.scope, self.name)}{self.end}"


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


class _Delegate(ParserDelegate):
    """Keeps references and macros as they are written, with the whole names of what is imported."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules = modules

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> _Reference:
        scope, _, name = scoped_configurable_name.rpartition("/")
        return _Reference(scope, _whole(name, self.modules), "()" if evaluate else "")

    def macro(self, macro_name: str) -> _Macro:
        return _Macro(macro_name)


def same_bindings(kept: str, given: str) -> bool:
    """Return whether two configurations are equal but for the order of entries in dicts.

    Folders of earlier versions have these entries sorted.

    Args:
        kept: the configuration in a run's folder, which may be damaged.
        given: another configuration.

    Example:
        >>> from metaloss.config.settings import same_bindings
        >>> same_bindings("RATES = {'a': 1, 'b': 2}", "RATES = {'b': 2, 'a': 1}")
        True
    """
    if kept == given:
        return True
    with suppress(InputError):
        found, wanted = (
            {_key(scope, name, arg): value for scope, name, arg, value in _parsed(text)}
            for text in (kept, given)
        )
        return found == wanted
    return False


def settings_of(text: str, root: str) -> dict[str, Any]:
    r"""Return the bindings that an experiment uses, with the values of macros, by their names.

    Args:
        text: the configuration as one gin file, without includes.
        root: the name of the class of the experiment.

    Raises:
        InputError: The text is no configuration.

    Example:
        >>> from metaloss.config.settings import settings_of
        >>> settings_of("Grid.size = %SIZE\nSIZE = 3\nUNUSED = 1\nOther.x = 2", "Grid")
        {'Grid.size': 3}
    """
    parsed = _parsed(text)
    macros = {_scoped(scope, name): value for scope, name, arg, value in parsed if not arg}
    bound = [
        (scope, name, arg, _expanded(value, macros)) for scope, name, arg, value in parsed if arg
    ]
    used = {name for _, name, _, _ in bound if _last(name) == root}
    scopes: set[str] = {""}
    found: dict[str, Any] = {}
    before = -1
    while len(found) + len(used) + len(scopes) > before:
        before = len(found) + len(used) + len(scopes)
        for scope, name, arg, value in bound:
            if name in used and scopes.issuperset(scope.split("/")):
                found[_key(scope, name, arg)] = value
                for each in _references(value):
                    used.add(each.name)
                    scopes.update(each.scope.split("/"))
    return found


def other_setting(kept: str, given: str, root: str) -> str | None:
    r"""Describe the first setting in which two configurations differ, or return ``None``.

    Settings that a run's identity compares are left out, and those that may be others when it goes
    on: the device, processes, and where data is and how it is read.

    Args:
        kept: the configuration that a run was begun with.
        given: the configuration that it is to go on with.
        root: the name of the class of the experiment.

    Raises:
        InputError: A text is no configuration.

    Example:
        >>> from metaloss.config.settings import other_setting
        >>> other_setting("Grid.size = 3", "Grid.size = %SIZE\nSIZE = 4", "Grid")
        'expected Grid.size 4, got 3'
    """
    before, now = settings_of(kept, root), settings_of(given, root)
    for key in dict.fromkeys([*now, *before]):
        wanted, found = now.get(key, _NOTHING), before.get(key, _NOTHING)
        name, _, arg = key.rpartition(".")
        free = _last(name.rpartition("/")[2]) in _OF_IDENTITY or arg in _OF_READING
        if not free and not _same(wanted, found):
            return f"expected {key} {wanted!r:.60}, got {found!r:.60}"
    return None


def _parsed(text: str) -> list[tuple[str, str, str, Any]]:
    """Return the scope, the name, the argument and the value of each binding."""
    with gin_errors():
        imports = [each for each in ConfigParser(text, _Delegate({})) if _imports(each)]
        modules = {each.bound_name(): each.module for each in imports}
        return [
            (each.scope, _whole(each.selector, modules), each.arg_name, each.value)
            for each in ConfigParser(text, _Delegate(modules))
            if isinstance(each, BindingStatement)
        ]


def _imports(statement: object) -> bool:
    """Return whether a statement imports a module under a name that is not the module's own."""
    return isinstance(statement, ImportStatement) and bool(statement.is_from or statement.alias)


def _whole(name: str, modules: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{modules.get(first, first)}{dot}{rest}"


def _scoped(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


def _key(scope: str, name: str, arg: str) -> str:
    return _scoped(scope, f"{name}.{arg}" if arg else name)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _expanded(value: Any, macros: Mapping[str, Any]) -> Any:
    if isinstance(value, _Macro) and value.name in macros:
        return _expanded(macros[value.name], macros)
    if isinstance(value, dict):
        return {_expanded(k, macros): _expanded(v, macros) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_expanded(each, macros) for each in value)
    return value


def _references(value: Any) -> Iterator[_Reference]:
    if isinstance(value, _Reference):
        yield value
    elif isinstance(value, dict):
        yield from _references([*value, *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _references(each)


def _same(wanted: Any, found: Any) -> bool:
    """Return whether two values are equal, but for the places of files that are there."""
    if isinstance(wanted, str) and isinstance(found, str):
        return wanted == found or _is_place(wanted, found)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_same(wanted[k], found[k]) for k in wanted)
    if isinstance(wanted, list | tuple) and isinstance(found, list | tuple):
        return len(wanted) == len(found) and all(map(_same, wanted, found))
    return bool(wanted == found)


def _is_place(wanted: str, found: str) -> bool:
    """Return whether a text is the path of a file or a folder, whose content is in the identity."""
    there = os.path.exists(user_path(wanted))  # noqa: PTH110 - Path's own fails for a long text
    return there and any(separator in wanted + found for separator in {"/", os.sep})
