"""Save and load learned adjusters: tensors as safetensors, everything else in a JSON card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from metaloss.adjusters import BaseAdjuster, ScheduledAdjuster
from metaloss.adjusters.scheduled import check_until
from metaloss.checks import InputError, check_finite, check_made, require
from metaloss.conditioners import Conditioner
from metaloss.files import make_folder, user_path, write_together
from metaloss.losses import LossFamily, toward_defaults
from metaloss.losses.derived import check_strength
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.card import (
    CARD,
    FORMAT,
    TENSORS,
    VERSION,
    card_text,
    check_seal,
    find_card,
    read_bytes,
    read_card,
    sealed,
)
from metaloss.pretrained.spec import build, describe, known

# Errors from building a component with damaged arguments, or from reading damaged tensors.
_DAMAGE = (
    AttributeError,
    TypeError,
    ValueError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,
    SafetensorError,
)


def save_adjuster(
    folder: str | Path,
    criterion: AdjustedLoss,
    snapshots: Sequence[tuple[float, Mapping[str, Tensor]]] = (),
    about: Mapping[str, Any] | None = None,
    strength: float = 1.0,
) -> None:
    r"""Save a learned adjuster with its loss and conditioner, atomically.

    Args:
        folder: for ``adjuster.safetensors`` and ``card.json``; created if it is missing.
        criterion: the criterion whose adjuster, loss and conditioner are saved.
        snapshots: :math:`\theta^{(k)}` of Algorithm 1, each with the fraction of training at which
            its use ends, ascending to 1. If not given, the current parameters, or the snapshots of
            a loaded adjuster.
        about: more entries for the card, such as how the adjuster was trained.
        strength: see :func:`~metaloss.losses.toward_defaults`; in (0, 1].

    Raises:
        InputError: constructor arguments or ``about`` are not JSON, the snapshots are another
            adjuster's or do not ascend to 1, or ``strength`` is out of range.
    """
    check_made("criterion", criterion, AdjustedLoss)
    adjuster, loss = criterion.adjuster, toward_defaults(criterion.loss, strength)
    if isinstance(adjuster, ScheduledAdjuster):  # one that was loaded
        states = [snapshot.state_dict() for snapshot in adjuster.adjusters]
        snapshots = list(snapshots) or list(zip(adjuster.until, states, strict=True))
        adjuster = adjuster.adjusters[0]  # type: ignore[assignment]
    taken = list(snapshots) or [(1.0, adjuster.state_dict())]
    until = [fraction for fraction, _ in taken]
    check_until("snapshots", until)
    for _, state in taken:
        _check_tensors(adjuster.state_dict(), state, "snapshots")
    tensors = {
        f"{k}/{name}": value.detach().cpu().contiguous()
        for k, (_, state) in enumerate(taken)
        for name, value in state.items()
    }
    data = safetensors.torch.save(tensors)
    card = {
        "format": FORMAT,
        "version": VERSION,
        **_components(loss, criterion.conditioner, adjuster),
        "detach": criterion.detach,
        "hyperparameters": _ranges(loss),
        "until": until,
        "about": dict(about or {}),
    }
    text = card_text(sealed(card, data))
    folder = make_folder(user_path(folder))
    write_together({folder / TENSORS: data, folder / CARD: text})


def check_can_be_saved(criterion: AdjustedLoss) -> None:
    """Raise :class:`~metaloss.checks.InputError` if :func:`save_adjuster` would not save it.

    A training calls it first, since it saves its adjuster last.
    """
    _components(criterion.loss, criterion.conditioner, criterion.adjuster)


def load_adjuster(
    folder: str | Path, *, components: Iterable[type] = (), strength: float = 1.0
) -> AdjustedLoss:
    """Load a criterion saved by :func:`save_adjuster`, with a frozen adjuster.

    Args:
        folder: the folder with ``adjuster.safetensors`` and ``card.json``.
        components: your own classes that the card names.
        strength: see :func:`~metaloss.losses.toward_defaults`; in (0, 1].

    Raises:
        InputError: a file is missing, too large, damaged or of another version, or names an unknown
            component (no code of the file is ever executed); or ``strength`` is out of range.
    """
    check_strength(strength)
    folder = user_path(folder)
    card, data = read_card(find_card(folder)), read_bytes(folder / TENSORS)
    check_seal(card, data, folder)
    try:
        return _criterion(card, safetensors.torch.load(data), known(components), strength)
    except KeyError as error:
        raise InputError(f"{folder / CARD}: expected an entry {error}, got none") from None
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    except _DAMAGE as error:
        raise InputError(f"{folder}: expected a learned adjuster, got: {error}") from None


def _criterion(
    card: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    classes: Mapping[str, type],
    strength: float,
) -> AdjustedLoss:
    loss = build(card["loss"], classes)
    ranges, until, detach = card["hyperparameters"], card["until"], card["detach"]
    require(
        ranges == _ranges(loss),
        f"expected hyperparameters {ranges}, but {card['loss']['type']} has {_ranges(loss)} here",
    )
    require(isinstance(detach, bool), f"expected detach true or false, got {detach!r}")
    # Before anything is built: a damaged card may ask for millions of snapshots.
    require(
        isinstance(until, list) and len(until) <= max(len(tensors), 1),
        f"until: expected fractions of no more snapshots than {TENSORS} has tensors, "
        f"{len(tensors)}, got {len(until) if isinstance(until, list) else repr(until)}",
    )
    loss = toward_defaults(loss, strength)
    conditioner = None if card["conditioner"] is None else build(card["conditioner"], classes)

    def snapshots() -> list[BaseAdjuster]:
        made = partial(build, card["adjuster"], classes, hyperparameters=loss.hyperparameters)
        return [made() for _ in until]

    # On the meta device first, because a damaged card may ask for more memory than there is.
    with suppress(RuntimeError), torch.device("meta"):  # a constructor may read values
        _check_tensors(_by_snapshot(snapshots()), tensors, TENSORS)
    with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten
        adjusters = snapshots()
    _load(adjusters, tensors)
    adjuster = ScheduledAdjuster(adjusters, until)
    adjuster.note_weights()
    return AdjustedLoss(loss, conditioner, adjuster, detach)


def _ranges(loss: LossFamily) -> list[list[Any]]:
    return [[h.name, h.low, h.high] for h in loss.hyperparameters]


def _by_snapshot(adjusters: Sequence[BaseAdjuster]) -> dict[str, Tensor]:
    return {
        f"{k}/{name}": value
        for k, adjuster in enumerate(adjusters)
        for name, value in adjuster.state_dict().items()
    }


def _load(adjusters: Sequence[BaseAdjuster], tensors: Mapping[str, Tensor]) -> None:
    expected = _by_snapshot(adjusters)
    _check_tensors(expected, tensors, TENSORS)
    with torch.no_grad():
        for name, value in expected.items():
            value.copy_(tensors[name])  # a state_dict shares the module's tensors


def _check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    """Raise an error unless names, shapes and kinds of dtype agree and all values are finite."""
    shapes = {name: list(value.shape) for name, value in expected.items()}
    got = {name: list(value.shape) for name, value in found.items()}
    for name in sorted({*shapes, *got}):
        require(
            shapes.get(name) == got.get(name),
            f"{where}: expected {name} {_shape(shapes, name)}, got {_shape(got, name)}",
        )
    for name, value in found.items():
        floating = expected[name].is_floating_point()
        require(
            value.is_floating_point() == floating,
            f"{where}: expected {name} of {expected[name].dtype}, got {value.dtype}",
        )
        if floating:
            check_finite(f"{where}: {name}", value)


def _shape(shapes: Mapping[str, list[int]], name: str) -> str:
    return f"of shape {shapes[name]}" if name in shapes else "not at all"


def _components(
    loss: LossFamily, conditioner: Conditioner | None, adjuster: BaseAdjuster
) -> dict[str, Any]:
    """Return the names and arguments of the parts of a criterion, as a card holds them."""
    return {
        "loss": describe(loss),
        "conditioner": None if conditioner is None else describe(conditioner),
        "adjuster": describe(adjuster, leave_out=adjuster.unsaved),
    }
