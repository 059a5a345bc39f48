"""Predictions as lines of CSV."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from metaloss.checks import require
from metaloss.files import csv_text


def csv_titles(column: str, class_names: Sequence[str]) -> str:
    r"""Return the first line: the id, the label, its probability, and a column for each class.

    A class that is called like one of the first three columns gets a column ``p(NAME)``.

    Args:
        column: what the ids are, ``"path"`` or ``"id"``.
        class_names: a name for each class.

    Example:
        >>> from metaloss.predict import csv_titles
        >>> csv_titles("path", ["cat", "dog, wet", "label"])
        'path,label,probability,cat,"dog, wet",p(label)\n'
    """
    first = [column, "label", "probability"]
    return csv_text([[*first, *(f"p({each})" if each in first else each for each in class_names)]])


def csv_rows(
    ids: Sequence[str | int],
    probabilities: Float[Tensor, "samples classes"],
    class_names: Sequence[str],
) -> str:
    """Return a line for each sample, with six digits of each probability.

    Args:
        ids: the paths of the files, or the positions of the samples.
        probabilities: ``[samples, classes]``.
        class_names: a name for each class.

    Raises:
        InputError: the three do not match in length.

    Example:
        >>> import torch
        >>> from metaloss.predict import csv_rows
        >>> p = torch.tensor([[0.75, 0.25], [0.125, 0.875]])
        >>> print(csv_rows(["a.png", "b.png"], p, ["cat", "dog"]), end="")
        a.png,cat,0.75,0.75,0.25
        b.png,dog,0.875,0.125,0.875
    """
    require(
        list(probabilities.shape) == [len(ids), len(class_names)],
        f"probabilities: expected [{len(ids)}, {len(class_names)}] as there are ids and classes, "
        f"got {list(probabilities.shape)}",
    )
    rows = []
    for each, row in zip(ids, probabilities.tolist(), strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        rows.append([each, class_names[best], *(f"{p:.6g}" for p in (row[best], *row))])
    return csv_text(rows)
