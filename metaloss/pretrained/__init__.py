"""Learned adjusters, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metaloss.checks import require
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.files import load_adjuster, save_adjuster

__all__ = ["from_pretrained", "load_adjuster", "save_adjuster"]


def from_pretrained(path: str | Path, components: Iterable[type] = ()) -> AdjustedLoss:
    """A criterion with a learned, frozen adjuster: plug and play, no clean data (Algorithm 2).

    Args:
        path: the folder of a saved adjuster, such as ``RUN/a-gce/seed-0/adjuster``.
        components: classes of your own that its card names.

    Returns:
        The criterion. ``criterion.progress(fraction)`` moves its snapshots as training proceeds;
        until then the last one is used.

    Raises:
        InputError: there is no such folder, or its files cannot be trusted.

    Example:
        >>> from metaloss import from_pretrained
        >>> import tempfile
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> from metaloss.pretrained import save_adjuster
        >>> learned = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> folder = tempfile.mkdtemp()
        >>> save_adjuster(folder, learned)
        >>> criterion = from_pretrained(folder)
    """
    require(Path(path).is_dir(), f"{path}: expected the folder of a saved adjuster, got nothing")
    return load_adjuster(path, components)
