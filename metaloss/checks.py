"""Checks of arguments, with messages that say what was expected and what was given."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor


class InputError(ValueError):
    """Raised for bad input; the message says what was expected and what was given."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`InputError` with ``message`` unless ``condition`` holds.

    Example:
        >>> from metaloss.checks import require
        >>> require(1 + 1 == 2, "arithmetic is broken")
    """
    if not condition:
        raise InputError(message)


def check_one_of(name: str, value: object, known: Collection[str]) -> None:
    """Raise :class:`InputError` unless ``value`` is one of the known words.

    Example:
        >>> from metaloss.checks import check_one_of
        >>> check_one_of("order", "random", ("shuffled", "weighted"))
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: order: expected one of shuffled, weighted, got 'random'
    """
    require(value in known, f"{name}: expected one of {', '.join(known)}, got {value!r}")


def did_you_mean(word: str, known: Sequence[str], most: int = 1) -> str:
    """Return a question for an error, whether one of these words is meant, if one is close.

    Example:
        >>> from metaloss.checks import did_you_mean
        >>> did_you_mean("epoch", ["EPOCHS", "SEEDS"]), did_you_mean("rates", ["SEEDS"])
        ('; did you mean EPOCHS?', '')
    """
    in_capitals = {each.upper(): each for each in known}
    close = difflib.get_close_matches(word.upper(), in_capitals, n=most)
    return f"; did you mean {' or '.join(in_capitals[each] for each in close)}?" if close else ""


def is_number(value: object) -> bool:
    """Return whether ``value`` is a real number (also of NumPy) and not a boolean.

    Example:
        >>> from metaloss.checks import is_number
        >>> is_number(0.5), is_number(True), is_number("0.5")
        (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def check_in_range(
    name: str, value: float, low: float = -math.inf, high: float = math.inf
) -> float:
    """Return ``value`` if it is a number in ``[low, high]``, else raise :class:`InputError`.

    Example:
        >>> from metaloss.checks import check_in_range
        >>> check_in_range("rate", 0.4, 0.0, 1.0)
        0.4
    """
    require(
        is_number(value) and low <= value <= high,  # a NaN fails the comparison
        f"{name}: expected a number in [{low:g}, {high:g}], got {value!r}",
    )
    return value


def check_at_least(name: str, value: int, low: int) -> int:
    """Return ``value`` if it is a whole number of at least ``low``, else raise :class:`InputError`.

    Integers of NumPy are accepted and returned as Python integers.

    Example:
        >>> import numpy as np
        >>> from metaloss.checks import check_at_least
        >>> check_at_least("epochs", np.int64(3), 1)
        3
    """
    require(
        isinstance(value, Integral) and not isinstance(value, bool) and value >= low,
        f"{name}: expected a whole number of at least {low}, got {value!r}",
    )
    return operator.index(value)


def check_made(name: str, value: object, kind: type) -> None:
    """Raise :class:`InputError` unless ``value`` is an object of a class, and not the class itself.

    Example:
        >>> from metaloss.checks import check_made
        >>> check_made("rate", 0.5, float)
        >>> check_made("rate", float, float)
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: rate: expected a float, got the class float; write float()
    """
    if isinstance(value, kind):
        return
    a = "an" if kind.__name__[0] in "AEIO" else "a"
    got = f"a {type(value).__name__}"
    if isinstance(value, type):
        got = f"the class {value.__name__}"
        got += f"; write {value.__name__}()" if issubclass(value, kind) else ""
    raise InputError(f"{name}: expected {a} {kind.__name__}, got {got}")


def seen(value: object) -> str:
    """Describe a value that is not the expected tensor, and how to make a tensor of it.

    Example:
        >>> import torch
        >>> from metaloss.checks import seen
        >>> seen(torch.zeros(2, 3)), seen([3, 5])
        ('torch.float32 [2, 3]', 'a list; torch.as_tensor makes it a tensor')
        >>> seen((torch.zeros(2, 3), torch.zeros(2, 3))), seen(["cat"])
        ('a tuple; pass the tensor in it that is meant', 'a list of names; number them from 0')
    """
    if isinstance(value, Tensor):
        return f"{value.dtype} {list(value.shape)}"
    what = "None" if value is None else f"a {type(value).__name__}"
    if hasattr(value, "logits"):
        return f"{what}; pass its .logits"
    inside = _elements(value)
    if any(isinstance(v, Tensor) and v.ndim for v in inside):
        return f"{what}; pass the tensor in it that is meant"
    if any(isinstance(v, str) for v in inside):
        return f"{what} of names; number them from 0"
    try:
        torch.as_tensor(value if inside or is_number(value) else None)
    except (TypeError, ValueError, RuntimeError):
        return what
    return f"{what}; torch.as_tensor makes it a tensor"


def _elements(value: Any) -> list[Any]:
    """Return the elements of a container, and an empty list for anything else."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) or bool(getattr(value, "ndim", 0)) else []


def check_outputs_and_targets(outputs: Tensor, targets: Tensor) -> None:
    """Raise :class:`InputError` unless these are logits and labels of one batch.

    Only shapes and dtypes are checked, so that nothing waits for a device.

    Args:
        outputs: ``[batch, classes]``, floating point.
        targets: ``[batch]``, int64.
    """
    # Without ``require``, which formats the message first: that takes longer than the check.
    if not _is_tensor(outputs, 2) or not outputs.is_floating_point():
        raise InputError(
            f"outputs: expected floating-point logits [batch, classes], got {seen(outputs)}"
        )
    if not _is_tensor(targets, 1) or targets.dtype != torch.int64:
        raise InputError(f"targets: expected int64 labels [batch], got {seen(targets)}")
    batch, classes = outputs.shape
    if batch != targets.shape[0]:
        raise InputError(
            f"outputs and targets: expected one batch, got {batch} and {targets.shape[0]}"
        )
    if classes < 2:
        raise InputError(f"outputs: expected two classes or more, got {classes}")


def check_labels(name: str, targets: Tensor, num_classes: int) -> None:
    """Raise :class:`InputError` unless every label is in ``0 .. num_classes - 1``.

    It reads the values, which waits for the device. So do not call it at every step.
    """
    # Without ``require``, as above.
    if not _is_tensor(targets, 1) or targets.dtype != torch.int64:
        raise InputError(f"{name}: expected int64 labels [samples], got {seen(targets)}")
    if targets.numel() == 0:
        raise InputError(f"{name}: expected at least one sample, got none")
    low, high = extremes(targets)
    if low < 0 or high >= num_classes:
        raise InputError(f"{name}: expected labels in 0..{num_classes - 1}, got {low}..{high}")


def extremes(labels: Tensor) -> tuple[int, int]:
    """Return the smallest and the largest of some labels; it waits for the device.

    Example:
        >>> import torch
        >>> from metaloss.checks import extremes
        >>> extremes(torch.tensor([3, 1, 2]))
        (1, 3)
    """
    low, high = labels.aminmax()
    return int(low), int(high)


def check_finite(name: str, values: Tensor) -> None:
    """Raise :class:`InputError` if ``values`` holds a NaN or an infinity (waits for the device)."""
    if math.isfinite(values.sum().item()):  # one pass; a sum of finite values may overflow
        return
    bad = int((~torch.isfinite(values)).sum())
    require(
        bad == 0,
        f"{name}: expected finite values, got {bad} of {values.numel()} that are NaN or infinite "
        f"in {str(values.dtype).removeprefix('torch.')}",
    )


def _is_tensor(value: object, ndim: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == ndim
