"""Disjoint sets of sample indices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, check_at_least, check_one_of, require

from .stratified import rank_in_class, stratified


def split(
    targets: Int[Tensor, " samples"],
    sizes: Mapping[str, int | None],
    generator: torch.Generator,
    balanced: Collection[str] = (),
    arguments: Mapping[str, str] | None = None,
    *,
    proportional: Collection[str] = (),
) -> dict[str, Tensor]:
    """Split samples into disjoint sets at random.

    Sets are drawn in the order given: a set does not depend on those after it.

    Args:
        targets: labels, ``[samples]``, int64.
        sizes: number of samples in each set, at least 1. The last size may be ``None``: that set
            takes all samples that are left. Otherwise, samples left over belong to no set.
        generator: a CPU generator.
        balanced: names of sets with equally many samples of every class. If the size is not a
            multiple of the number of classes, randomly chosen classes have one sample more.
        arguments: for error messages, the names of the caller's arguments that hold the sizes and
            ``balanced``, such as ``{"meta": "num_meta"}``.
        proportional: names of sets in which the classes keep their proportions.

    Returns:
        The positions of each set's samples in ``targets``, int64, ascending.

    Raises:
        InputError: a size is below 1, the sizes exceed the number of samples, a class has too few
            samples for a balanced set, or ``balanced`` has a name that is not a set.

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
        elif name in proportional:
            chosen = torch.zeros(len(left), dtype=torch.bool)
            chosen[stratified(targets[left], size, generator)] = True
        else:
            chosen = torch.arange(len(left)) < size
        sets[name] = left[chosen].sort().values
        left = left[~chosen]
    return sets


def check_disjoint(sets: Mapping[str, Tensor], allow_overlap: bool = False) -> None:
    """Raise :class:`InputError` if two sets share a sample.

    Args:
        sets: the ids of each set's samples, int64; a sample has the same id in every set.
        allow_overlap: whether sets may share samples, which turns the check off.

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
        name: the name of the set in the message.
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
        check_one_of("balanced", name, sizes)
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
        f"sizes: expected at most the {available} samples there are, got {asked} ({wanted})"
        + (f", which leaves none for {last}" if rest else ""),
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
    """Choose the first samples of each class among those left, which are in random order."""
    classes = torch.unique(targets)
    kind = torch.searchsorted(classes, left)  # classes that occur, numbered 0, 1, ...
    base, extra = divmod(size, len(classes))
    quota = torch.full((len(classes),), base)
    quota[torch.randperm(len(classes), generator=generator)[:extra]] += 1
    have = kind.bincount(minlength=len(classes))
    short = have < quota
    if bool(short.any()):
        worst = int(short.nonzero()[0])
        raise InputError(
            f"{called[name]}: expected {int(quota[worst])} samples of class {int(classes[worst])} "
            f"for a balanced set of {size}, got {int(have[worst])}; ask for fewer, or for samples "
            f"of any class ({called['balanced']})",
        )
    return rank_in_class(kind) < quota[kind]
