"""A learned adjuster on disk: tensors as safetensors, everything else as a JSON card."""

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
from metaloss.checks import InputError, check_finite, require
from metaloss.files import make_folder, user_path, write_together
from metaloss.losses import LossFamily, toward_defaults
from metaloss.losses.narrowed import check_strength
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.card import (
    CARD,
    FORMAT,
    TENSORS,
    VERSION,
    card_text,
    check_seal,
    found_card,
    read_bytes,
    read_card,
    sealed,
)
from metaloss.pretrained.spec import build, describe, known
from metaloss.pretrained.trial import check_finite_loss

# What building from a card, or reading tensors of a kind without arithmetic, ends in.
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
    r"""Write a learned adjuster, whole or not at all.

    Args:
        folder: where ``adjuster.safetensors`` and ``card.json`` go; made if it is missing.
        criterion: whose adjuster, loss and conditioner to save.
        snapshots: :math:`\theta^{(k)}` of Algorithm 1, each with the fraction of training up to
            which a deployment uses it, ascending to 1; the adjuster as it is, or those that a
            loaded one has, if not given.
        about: what else the card shall say, such as how the adjuster was trained.
        strength: how much of what it learned it shall say from now on, in (0, 1]: see
            :func:`~metaloss.losses.toward_defaults`.

    Raises:
        InputError: a component whose constructor arguments JSON cannot hold, an ``about`` that it
            cannot hold, snapshots that are not this adjuster's or do not ascend to 1, or a strength
            out of range.
    """
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
        "loss": describe(loss),
        "conditioner": None if criterion.conditioner is None else describe(criterion.conditioner),
        "adjuster": describe(adjuster, leave_out=adjuster.unsaved),
        "detach": criterion.detach,
        "hyperparameters": _ranges(loss),
        "until": until,
        "about": dict(about or {}),
    }
    text = card_text(sealed(card, data))
    folder = make_folder(user_path(folder))
    write_together({folder / TENSORS: data, folder / CARD: text})


def load_adjuster(
    folder: str | Path, *, components: Iterable[type] = (), strength: float = 1.0
) -> AdjustedLoss:
    """The criterion that :func:`save_adjuster` saved, its adjuster frozen.

    Args:
        folder: what holds ``adjuster.safetensors`` and ``card.json``.
        components: classes of your own that the card names.
        strength: how much of what it learned it shall say, in (0, 1]: see
            :func:`~metaloss.losses.toward_defaults`.

    Raises:
        InputError: a file that is missing, too large, damaged, of another version, or that names
            a component not known here (nothing in it is ever executed); or a strength out of range.
    """
    check_strength(strength)
    folder = user_path(folder)
    card, data = read_card(found_card(folder)), read_bytes(folder / TENSORS)
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
    # Before anything is built: a short card may ask for millions.
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

    # On the meta device first: a card may ask for more memory than there is, its file may not.
    with suppress(RuntimeError), torch.device("meta"):  # a constructor may need values
        _check_tensors(_by_snapshot(snapshots()), tensors, TENSORS)
    with torch.random.fork_rng(devices=[]):  # the first weights are overwritten
        adjusters = snapshots()
    _load(adjusters, tensors)
    criterion = AdjustedLoss(loss, conditioner, ScheduledAdjuster(adjusters, until), detach)
    check_finite_loss(criterion, adjusters)
    return criterion


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
            value.copy_(tensors[name])  # a state_dict's tensors are the module's own


def _check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    """The same names and shapes, of numbers that can be reckoned with."""
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
