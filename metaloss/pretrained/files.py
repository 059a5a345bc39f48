"""A learned adjuster on disk: tensors as safetensors, everything else as a JSON card."""

from __future__ import annotations

import hashlib
import json
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
from metaloss.files import make_folder, user_path, write_atomically, write_together
from metaloss.losses import LossFamily, toward_defaults
from metaloss.losses.narrowed import check_strength
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.spec import build, describe, known

FORMAT = "metaloss-adjuster"
VERSION = 1
TENSORS = "adjuster.safetensors"
CARD = "card.json"
# A hundred hidden units take 2 KB; a file past this is not an adjuster.
MOST_BYTES = 16 * 2**20
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
        "adjuster": describe(adjuster, leave_out=("hyperparameters",)),
        "detach": criterion.detach,
        "hyperparameters": _ranges(loss),
        "until": until,
        "sha256": hashlib.sha256(data).hexdigest(),
        "about": dict(about or {}),
    }
    text = _text(card)
    folder = make_folder(user_path(folder))
    write_together({folder / TENSORS: data, folder / CARD: text})


def add_to_card(folder: str | Path, about: Mapping[str, Any]) -> None:
    """Let a saved adjuster's card say more; what was learned stays as it is.

    Args:
        folder: what :func:`save_adjuster` wrote.
        about: entries, in place of those of the same names.

    Raises:
        InputError: there is no card, or an entry that JSON cannot hold.
    """
    path = user_path(folder) / CARD
    card = _card(path)
    write_atomically(path, _text({**card, "about": {**card["about"], **about}}))


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
    card = _card(_found(folder))
    data = _bytes(folder / TENSORS)
    require(
        hashlib.sha256(data).hexdigest() == card.get("sha256"),
        f"{folder / TENSORS}: expected the file that the card describes, got another or a damaged "
        "one (its SHA-256 differs)",
    )
    try:
        return _criterion(card, safetensors.torch.load(data), known(components), strength)
    except KeyError as error:
        raise InputError(f"{folder / CARD}: expected an entry {error}, got none") from None
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    except _DAMAGE as error:
        raise InputError(f"{folder}: expected a learned adjuster, got: {error}") from None


def fingerprint(folder: str | Path) -> str:
    """The SHA-256 of what a saved adjuster does: its card, with its tensors' hash, but ``about``.

    Raises:
        InputError: there is no card.
    """
    card = _card(_found(user_path(folder)))
    done = {key: value for key, value in card.items() if key != "about"}
    return hashlib.sha256(json.dumps(done, sort_keys=True).encode()).hexdigest()


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
    return AdjustedLoss(loss, conditioner, ScheduledAdjuster(adjusters, until), detach)


def _text(card: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(card, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"about: expected what JSON can hold: {error}") from None


def _ranges(loss: LossFamily) -> list[list[Any]]:
    return [[h.name, h.low, h.high] for h in loss.hyperparameters]


def _bytes(path: Path) -> bytes:
    require(path.is_file(), f"{path}: expected a file of a learned adjuster, got nothing there")
    size = path.stat().st_size
    require(size <= MOST_BYTES, f"{path}: expected at most {MOST_BYTES} bytes, got {size}")
    return path.read_bytes()


def _found(folder: Path) -> Path:
    """The card in a folder; where it has none, what is said of the folders below that do."""
    path = folder / CARD
    if not path.is_file():
        # From a run's folder down: METHOD/seed-0/adjuster.
        depths = ("*", "*/*", "*/*/*")
        below = [str(card.parent) for d in depths for card in sorted(folder.glob(f"{d}/{CARD}"))]
        hint = f"; did you mean {below[0]}?" if below else ""
        raise InputError(f"{path}: expected a file of a learned adjuster, got nothing there{hint}")
    return path


def _card(path: Path) -> dict[str, Any]:
    data = _bytes(path)
    try:
        card = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}") from None
    form = (card.get("format"), card.get("version")) if isinstance(card, dict) else None
    require(form == (FORMAT, VERSION), f"{path}: expected {FORMAT} version {VERSION}, got {form}")
    return card


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
