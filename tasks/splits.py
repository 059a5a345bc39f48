"""Disjoint sets of sample indices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_at_least, require


def split(
    targets: Int[Tensor, " samples"],
    sizes: Mapping[str, int | None],
    generator: torch.Generator,
    balanced: Collection[str] = (),
    arguments: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Split samples into disjoint sets at random.

    Sets are drawn in the order given, so a set does not change when the ones after it do.

    Args:
        targets: labels, ``[samples]``, int64.
        sizes: the samples of each set, 1 or more. ``None``, allowed for the last set alone, is all
            that are left; otherwise those left belong to no set.
        generator: a CPU generator.
        balanced: the sets that hold every class equally often; where the size is not a multiple of
            the number of classes, some classes, chosen at random, have one sample more.
        arguments: for messages, what the caller's own arguments are called that the sets' sizes
            and ``balanced`` come from, such as ``{"meta": "num_meta"}``.

    Returns:
        The positions in ``targets`` of each set's samples, int64, ascending.

    Raises:
        InputError: a size below 1, more samples asked for than there are, too few of a class for a
            balanced set, or a name in ``balanced`` that is no set.

    Example:
        >>> import torch
        >>> from metaloss.tasks import split
        >>> labels = torch.arange(10).repeat(10)
        >>> sets = split(labels, {"meta": 20, "train": None}, torch.Generator(), balanced=["meta"])
        >>> labels[sets["meta"]].bincount(), len(sets["train"])
        (tensor([2, 2, 2, 2, 2, 2, 2, 2, 2, 2]), 80)
    """
    called = {**{name: name for name in sizes}, "balanced": "balanced", **(arguments or {})}
    _check_sizes(sizes, len(targets), balanced, called)
    targets = targets.cpu()
    left = torch.randperm(len(targets), generator=generator)
    sets = {}
    for name, size in sizes.items():
        if size is None:
            chosen = torch.ones(len(left), dtype=torch.bool)
        elif name in balanced:
            chosen = _choose_balanced(name, targets[left], size, targets, generator, called=called)
        else:
            chosen = torch.arange(len(left)) < size
        sets[name] = left[chosen].sort().values
        left = left[~chosen]
    return sets


def check_disjoint(sets: Mapping[str, Tensor], allow_overlap: bool = False) -> None:
    """Raise :class:`InputError` if two sets share a sample.

    Args:
        sets: the ids of each set's samples, int64; a sample has one id in all of them.
        allow_overlap: say that it is meant, which turns the check off.

    Example:
        >>> import torch
        >>> from metaloss.tasks import check_disjoint
        >>> check_disjoint({"meta": torch.tensor([0, 1]), "train": torch.tensor([2, 3])})
    """
    if allow_overlap:
        return
    for (first, ids), (second, others) in combinations(sets.items(), 2):
        shared = int(torch.isin(ids, others).sum())
        require(
            shared == 0,
            f"{first} and {second}: expected no sample in both, got {shared} "
            f"(allow_overlap=True permits it)",
        )


def check_classes(name: str, targets: Int[Tensor, " samples"]) -> None:
    """Raise :class:`InputError` unless a set has samples of two classes or more.

    Args:
        name: what to call the set in the message.
        targets: its labels.
    """
    found = len(torch.unique(targets))
    require(found >= 2, f"{name}: expected samples of two classes or more, got {found}")


def _check_sizes(
    sizes: Mapping[str, int | None],
    available: int,
    balanced: Collection[str],
    called: Mapping[str, str],
) -> None:
    require(len(sizes) > 0, "sizes: expected one set or more, got none")
    for name in balanced:
        require(name in sizes, f"balanced: expected one of {', '.join(sizes)}, got {name!r}")
    *firsts, last = sizes
    for name in firsts:
        require(
            sizes[name] is not None,
            f"{called[name]}: expected a size, since only the last set, {last}, can be the rest",
        )
    given = {name: size for name, size in sizes.items() if size is not None}
    for name, size in given.items():
        check_at_least(called[name], size, 1)
    asked = sum(given.values())
    rest = 1 if sizes[last] is None else 0
    wanted = ", ".join(f"{called[name]} {size}" for name, size in given.items())
    require(
        asked + rest <= available,
        f"sizes: expected {available} samples at most, got {asked} ({wanted})"
        + (f" and none left for {last}" if rest else ""),
    )


def _choose_balanced(
    name: str,
    left: Tensor,
    size: int,
    targets: Tensor,
    generator: torch.Generator,
    *,
    called: Mapping[str, str],
) -> Tensor:
    """Which of the samples left, already in random order, to take: the first few of each class."""
    classes = torch.unique(targets)
    kind = torch.searchsorted(classes, left)  # 0, 1, ... for the classes that occur
    base, extra = divmod(size, len(classes))
    quota = torch.full((len(classes),), base)
    quota[torch.randperm(len(classes), generator=generator)[:extra]] += 1
    have = kind.bincount(minlength=len(classes))
    short = have < quota
    if bool(short.any()):
        worst = int(short.nonzero()[0])
        require(
            False,
            f"{called[name]}: expected {int(quota[worst])} samples of class {int(classes[worst])} "
            f"for a balanced set of {size}, got {int(have[worst])}; ask for fewer, or for samples "
            f"of any class ({called['balanced']})",
        )
    return _rank_in_class(kind, have) < quota[kind]


def _rank_in_class(kind: Tensor, count: Tensor) -> Tensor:
    """How many earlier samples are of the same class, ``[samples]``."""
    order = kind.argsort(stable=True)
    first = count.cumsum(0) - count  # where each class begins in the sorted order
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - first[kind[order]]
    return rank
