"""Serialize components to JSON, by class name and constructor arguments; files hold no code.

This relies on scikit-learn's convention: a component stores each constructor argument in an
attribute of the same name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from numbers import Integral, Real
from typing import Any

from torch import nn

from metaloss import adjusters, conditioners, losses
from metaloss.checks import InputError, require

Component = losses.LossFamily | conditioners.Conditioner | adjusters.BaseAdjuster


def known(extra: Iterable[type] = ()) -> dict[str, type]:
    """Return the classes that a file may name: this package's and the given ones, by name.

    Raises:
        InputError: two classes have the same name.
    """
    classes = dict(_ours())
    for cls in extra:
        _check_own(cls)
        require(
            classes.setdefault(cls.__name__, cls) is cls,
            f"components: expected classes of different names, got two called {cls.__name__}",
        )
    return classes


def describe(component: Component, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """Return a component's class name and constructor arguments.

    Args:
        component: a loss family, a conditioner or an adjuster.
        leave_out: arguments to omit, which :func:`build` is given as ``supplied``.

    Raises:
        InputError: an argument is not JSON, such as a tensor, or is not in an attribute of its
            name; or your own class has the name of one of this package's.

    Example:
        >>> from metaloss.pretrained.spec import describe
        >>> from metaloss.conditioners import Margin, MovingAverage
        >>> describe(MovingAverage(Margin(), decay=0.5))["args"]["decay"]
        0.5
    """
    _check_own(type(component))
    names = [name for name in _arguments(type(component)) if name not in leave_out]
    missing = [name for name in names if not hasattr(component, name)]
    require(
        not missing,
        f"{type(component).__name__}: expected each constructor argument in an attribute of the "
        f"same name, by which an adjuster is saved, found none named {', '.join(missing)}",
    )
    args = {name: _plain(getattr(component, name), type(component)) for name in names}
    return {"type": type(component).__name__, "args": args}


def build(spec: Mapping[str, Any], classes: Mapping[str, type], **supplied: object) -> Any:
    """Build a component from the result of :func:`describe`.

    Args:
        spec: a class name and constructor arguments.
        classes: the classes by name; see :func:`known`.
        supplied: the arguments that were omitted.

    Raises:
        InputError: an unknown name, or invalid arguments.

    Example:
        >>> from metaloss.pretrained.spec import build, describe, known
        >>> from metaloss.conditioners import Margin
        >>> type(build(describe(Margin()), known())).__name__
        'Margin'
    """
    try:
        cls = classes[spec["type"]]
        args = {name: _component(value, classes) for name, value in spec["args"].items()}
        return cls(**args, **supplied)
    except KeyError as error:
        raise InputError(
            f"adjuster card: {error} is not known here; a component of your own is passed as "
            f"components=[{error.args[0]}], in a gin file "
            f"experiments.transferred.components = [@your_module.{error.args[0]}]"
        ) from None
    except (TypeError, AttributeError) as error:
        raise InputError(f"adjuster card: cannot be read: {error}") from None


def parts(component: object) -> Iterator[type]:
    """Yield the classes of a component and of the components inside it.

    Example:
        >>> from metaloss.pretrained.spec import parts
        >>> from metaloss.conditioners import Margin, MovingAverage
        >>> [cls.__name__ for cls in parts(MovingAverage(Margin()))]
        ['MovingAverage', 'Margin']
    """
    if isinstance(component, Component):
        yield type(component)
        component = [getattr(component, name) for name in _arguments(type(component))]
    if isinstance(component, list | tuple | nn.ModuleList):
        for inner in component:
            yield from parts(inner)


@cache
def _ours() -> dict[str, type]:
    """Return this package's components by name."""
    named = (
        getattr(module, name)
        for module in (losses, conditioners, adjusters)
        for name in module.__all__
    )
    found = (c for c in named if inspect.isclass(c) and issubclass(c, Component))
    return {c.__name__: c for c in found if not inspect.isabstract(c)}


def _check_own(cls: type) -> None:
    """Raise an error if the class is not this package's but has the name of one that is."""
    require(
        _ours().get(cls.__name__, cls) is cls,
        f"{cls.__name__}: expected a component of your own to have a name that none of metaloss's "
        f"has, got {cls.__module__}.{cls.__qualname__}; rename it",
    )


def _arguments(cls: type) -> list[str]:
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    return [p.name for p in inspect.signature(cls).parameters.values() if p.kind in named]


def _plain(value: Any, owner: type) -> Any:
    if isinstance(value, Component):
        return describe(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, owner) for k, v in value.items()}
    if isinstance(value, list | tuple | nn.ModuleList):
        return [_plain(v, owner) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Integral):  # of NumPy
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise InputError(
        f"{owner.__name__}: expected constructor arguments that JSON can hold, "
        f"got {type(value).__name__}"
    )


def _component(value: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"type", "args"}:
            return build(value, classes)
        return {k: _component(v, classes) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(_component(v, classes) for v in value)  # JSON has no tuples
    return value
