"""Learned adjusters by folder or by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from metaloss.checks import InputError
from metaloss.files import user_path
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.bundled import FOLDER, list_pretrained
from metaloss.pretrained.files import load_adjuster
from metaloss.pretrained.hub import REPOSITORY, download


def from_pretrained(
    name: str | Path, *, components: Iterable[type] = (), strength: float = 1.0
) -> AdjustedLoss:
    """A criterion with a learned, frozen adjuster: plug and play, no clean data (Algorithm 2).

    Args:
        name: the folder of a saved adjuster, such as ``RUN/A-GCE/seed-0/adjuster``; or the name of
            one that comes with the package (:func:`~metaloss.pretrained.list_pretrained`); or
            ``"user/name"``, a repository of the Hugging Face Hub. They are looked for in this
            order.
        components: classes of your own that its card names.
        strength: how far its hyperparameters may be from the loss's defaults, as a share of how far
            they were learned to be, in (0, 1]. Half of it is safer where little is known of the
            data, and gains less.

    Returns:
        The criterion. ``criterion.progress(fraction)`` moves its snapshots as training proceeds;
        until then the last one is used.

    Raises:
        InputError: there is none of this name, or its files cannot be trusted; or a strength out
            of range.

    Example:
        >>> import torch
        >>> import metaloss
        >>> criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
        >>> criterion(torch.zeros(2, 10), torch.tensor([3, 5])).ndim
        0
    """
    return load_adjuster(folder_of(name), components=components, strength=strength)


def folder_of(name: str | Path) -> Path:
    """Where the files are of what :func:`from_pretrained` loads by this name."""
    path = user_path(name)
    if str(name) and path.is_dir():
        return path
    if path.is_file():
        raise InputError(
            f"{name}: expected the folder of a saved adjuster, got a file; "
            f"did you mean {path.parent}?"
        )
    names = [adjuster.name for adjuster in list_pretrained()]
    if str(name) in names:
        return FOLDER / str(name)
    if isinstance(name, str) and REPOSITORY.fullmatch(name):
        return download(name)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(
        f"{name}: expected the folder of a saved adjuster, user/name on the Hugging Face Hub, or "
        f"one of {', '.join(names)}, got nothing there{hint}"
    )
