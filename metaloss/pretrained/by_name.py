"""Load a learned adjuster by folder or name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from metaloss import losses
from metaloss.checks import InputError, did_you_mean
from metaloss.files import user_path
from metaloss.gin_files import shipped
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.objective.reduction import IGNORED
from metaloss.pretrained.bundled import FOLDER, SHORT, list_pretrained
from metaloss.pretrained.card import CARD
from metaloss.pretrained.files import load_adjuster
from metaloss.pretrained.hub import REPOSITORY, download

_EXPECTED = (
    "the folder of a saved adjuster, user/name on the Hugging Face Hub, or one of "
    f"{', '.join(SHORT)} (metaloss adjusters lists all)"
)


def from_pretrained(
    name: str | Path,
    *,
    components: Iterable[type] = (),
    strength: float = 1.0,
    reduction: str = "mean",
    ignore_index: int = IGNORED,
    weight: Float[Tensor, " classes"] | None = None,
    total_steps: int | None = None,
) -> AdjustedLoss:
    """Return a criterion with a learned, frozen adjuster, which needs no clean data (Algorithm 2).

    Args:
        name: the folder of a saved adjuster, such as ``RUN/A-GCE/seed-0/adjuster``; or the name of
            one that comes with the package (:func:`~metaloss.pretrained.list_pretrained`); or
            ``"gce"``, ``"js"``, ``"polysoft"`` or ``"sl"``, the one that is recommended for this
            loss and needs no sample ids; or a repository ``"user/name"`` of the Hugging Face Hub.
            They are tried in this order.
        components: your own classes that its card names.
        strength: scales the distance of its hyperparameters from the loss's defaults, in (0, 1].
            A smaller strength is safer on unfamiliar data, and gains less.
        reduction: as for :class:`~metaloss.AdjustedLoss`, and so are the others.
        ignore_index: the label of samples that count nowhere.
        weight: a weight for each class, ``[classes]``.
        total_steps: how many calls there will be in training, ``len(loader) * epochs``.

    Returns:
        The criterion. With ``total_steps`` its calls in training move the snapshots. Without,
        ``criterion.progress(fraction)`` does; before the first call it is the last one.

    Raises:
        InputError: there is no such adjuster, its files are invalid, ``strength`` is out of range,
            or a setting is not one of :class:`~metaloss.AdjustedLoss`.

    Example:
        >>> import torch
        >>> import metaloss
        >>> criterion = metaloss.from_pretrained("sl", total_steps=390 * 60)
        >>> criterion(torch.zeros(2, 10), torch.tensor([3, 5])).ndim
        0
    """
    saved = load_adjuster(folder_of(name), components=components, strength=strength)
    return AdjustedLoss(
        saved.loss,
        saved.conditioner,
        saved.adjuster,
        saved.detach,
        reduction=reduction,
        ignore_index=ignore_index,
        weight=weight,
        total_steps=total_steps,
    )


def folder_of(name: str | Path) -> Path:
    """Return the folder that :func:`from_pretrained` loads for this name."""
    if not isinstance(name, str | os.PathLike) or not str(name):
        raise InputError(f"name: expected {_EXPECTED}, got {name!r}")
    path = user_path(name)
    names = [adjuster.name for adjuster in list_pretrained()]
    bundled = str(name) in names or str(name).lower() in SHORT
    if path.is_dir() and (not bundled or (path / CARD).is_file()):
        return path
    if path.is_file():
        raise InputError(
            f"{name}: expected the folder of a saved adjuster, got a file; "
            f"did you mean {path.parent}?"
        )
    if str(name) in names:
        return FOLDER / str(name)
    if str(name).lower() in SHORT:
        return FOLDER / SHORT[str(name).lower()]
    if isinstance(name, str) and REPOSITORY.fullmatch(name):
        return download(name)
    raise InputError(_unknown(str(name), [*SHORT, *names]))


def _unknown(name: str, names: Sequence[str]) -> str:
    """Return what is wrong with a name that stands for nothing."""
    known = (value for value in vars(losses).values() if isinstance(value, type))
    classes = {each.__name__.lower() for each in known if issubclass(each, LossFamily)}
    files = {path.stem.replace("_", "") for path in (shipped() / "losses").glob("*.gin")}
    if name.lower().replace("_", "").replace("-", "") in classes | files:
        return (
            f"{name}: expected a loss with a bundled adjuster ({', '.join(SHORT)}), got one "
            "without; metaloss train learns one for a loss that has hyperparameters"
        )
    return f"{name}: expected {_EXPECTED}, got nothing there{did_you_mean(name, names)}"
