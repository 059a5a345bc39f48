"""A learned adjuster on disk: tensors as safetensors, everything else as a JSON card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from metaloss.adjusters import BaseAdjuster, ScheduledAdjuster
from metaloss.adjusters.scheduled import check_until
from metaloss.checks import InputError, require
from metaloss.files import make_folder, write_atomically
from metaloss.losses import LossFamily, toward_defaults
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.spec import build, describe, known

FORMAT = "metaloss-adjuster"
VERSION = 1
TENSORS = "adjuster.safetensors"
CARD = "card.json"
# A hundred hidden units take 2 KB; a file past this is not an adjuster.
MOST_BYTES = 16 * 2**20


def save_adjuster(
    folder: str | Path,
    criterion: AdjustedLoss,
    snapshots: Sequence[tuple[float, Mapping[str, Tensor]]] = (),
    about: Mapping[str, Any] | None = None,
) -> None:
    r"""Write a learned adjuster, whole or not at all.

    Args:
        folder: where ``adjuster.safetensors`` and ``card.json`` go; made if it is missing.
        criterion: whose adjuster, loss and conditioner to save.
        snapshots: :math:`\theta^{(k)}` of Algorithm 1, each with the fraction of training up to
            which a deployment uses it, ascending to 1; the adjuster as it is if not given.
        about: what else the card shall say, such as how the adjuster was trained.

    Raises:
        InputError: a component whose constructor arguments JSON cannot hold, an ``about`` that it
            cannot hold, or snapshots that are not this adjuster's or do not ascend to 1.
    """
    adjuster = criterion.adjuster
    taken = list(snapshots) or [(1.0, adjuster.state_dict())]
    until = [fraction for fraction, _ in taken]
    check_until(until, len(taken))
    for _, state in taken:
        _check_shapes(adjuster.state_dict(), state, "snapshots")
    tensors = {
        f"{k}/{name}": value.detach().cpu().contiguous()
        for k, (_, state) in enumerate(taken)
        for name, value in state.items()
    }
    data = safetensors.torch.save(tensors)
    card = {
        "format": FORMAT,
        "version": VERSION,
        "loss": describe(criterion.loss),
        "conditioner": None if criterion.conditioner is None else describe(criterion.conditioner),
        "adjuster": describe(adjuster, leave_out=("hyperparameters",)),
        "detach": criterion.detach,
        "hyperparameters": _ranges(criterion.loss),
        "until": until,
        "sha256": hashlib.sha256(data).hexdigest(),
        "about": dict(about or {}),
    }
    text = _text(card)
    folder = make_folder(Path(folder))
    write_atomically(folder / TENSORS, data)
    write_atomically(folder / CARD, text)


def add_to_card(folder: str | Path, about: Mapping[str, Any]) -> None:
    """Let a saved adjuster's card say more; what was learned stays as it is.

    Args:
        folder: what :func:`save_adjuster` wrote.
        about: entries, in place of those of the same names.

    Raises:
        InputError: there is no card, or an entry that JSON cannot hold.
    """
    path = Path(folder) / CARD
    card = _card(path)
    write_atomically(path, _text({**card, "about": {**card["about"], **about}}))


def load_adjuster(
    folder: str | Path, components: Iterable[type] = (), strength: float = 1.0
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
    folder = Path(folder)
    card = _card(folder / CARD)
    data = _bytes(folder / TENSORS)
    require(
        hashlib.sha256(data).hexdigest() == card.get("sha256"),
        f"{folder / TENSORS}: expected the file that the card describes, got another or a damaged "
        "one (its SHA-256 differs)",
    )
    try:
        return _criterion(card, safetensors.torch.load(data), known(components), folder, strength)
    except KeyError as error:
        raise InputError(f"{folder / CARD}: expected an entry {error}, got none") from None
    except (AttributeError, TypeError, SafetensorError) as error:
        raise InputError(f"{folder}: expected a learned adjuster, got: {error}") from None


def _criterion(
    card: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    classes: Mapping[str, type],
    folder: Path,
    strength: float,
) -> AdjustedLoss:
    loss = build(card["loss"], classes)
    ranges, until, detach = card["hyperparameters"], card["until"], card["detach"]
    require(
        ranges == _ranges(loss),
        f"{folder / CARD}: expected hyperparameters {ranges}, but {card['loss']['type']} has "
        f"{_ranges(loss)} here",
    )
    require(
        isinstance(detach, bool), f"{folder / CARD}: expected detach true or false, got {detach!r}"
    )
    loss = toward_defaults(loss, strength)
    conditioner = None if card["conditioner"] is None else build(card["conditioner"], classes)
    adjusters = [
        build(card["adjuster"], classes, hyperparameters=loss.hyperparameters) for _ in until
    ]
    _load(adjusters, tensors, folder / TENSORS)
    return AdjustedLoss(loss, conditioner, ScheduledAdjuster(adjusters, until), detach)


def _text(card: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(card, indent=2).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"about: expected what JSON can hold: {error}") from None


def _ranges(loss: LossFamily) -> list[list[Any]]:
    return [[h.name, h.low, h.high] for h in loss.hyperparameters]


def _bytes(path: Path) -> bytes:
    require(path.is_file(), f"{path}: expected a file of a learned adjuster, got nothing there")
    size = path.stat().st_size
    require(size <= MOST_BYTES, f"{path}: expected at most {MOST_BYTES} bytes, got {size}")
    return path.read_bytes()


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(_bytes(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}") from None
    form = (card.get("format"), card.get("version")) if isinstance(card, dict) else None
    require(form == (FORMAT, VERSION), f"{path}: expected {FORMAT} version {VERSION}, got {form}")
    return card


def _load(adjusters: Sequence[BaseAdjuster], tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = {
        f"{k}/{name}": value
        for k, adjuster in enumerate(adjusters)
        for name, value in adjuster.state_dict().items()
    }
    _check_shapes(expected, tensors, str(path))
    with torch.no_grad():
        for name, value in expected.items():
            value.copy_(tensors[name])  # a state_dict's tensors are the module's own


def _check_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    got = {name: tuple(value.shape) for name, value in found.items()}
    require(shapes == got, f"{where}: expected tensors {shapes}, got {got}")
