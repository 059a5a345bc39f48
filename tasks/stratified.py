"""A part of a data set with the classes in their proportions."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_at_least, require


def stratified(
    targets: Int[Tensor, " samples"], size: int, generator: torch.Generator
) -> Int[Tensor, " chosen"]:
    r"""Choose samples at random such that the classes keep their proportions.

    Of a class with :math:`n_k` of :math:`n` samples, :math:`\lfloor m n_k / n \rfloor` are chosen
    for a part of size :math:`m`, and one more for the classes with the largest remainders, the
    first ones among equals.

    Args:
        targets: labels, ``[samples]``, int64.
        size: the number of samples to choose.
        generator: a CPU generator.

    Returns:
        Their positions in ``targets``, int64, ascending.

    Raises:
        InputError: ``size`` is below 1, or there are fewer samples.

    Example:
        >>> import torch
        >>> from metaloss.tasks import stratified
        >>> labels = torch.tensor([0] * 80 + [1] * 20)
        >>> labels[stratified(labels, 10, torch.Generator().manual_seed(0))].bincount()
        tensor([8, 2])
    """
    check_at_least("subset", size, 1)
    require(
        size <= len(targets),
        f"subset: expected at most the {len(targets)} samples there are, got {size}",
    )
    targets = targets.cpu()
    count = targets.bincount()
    # In whole numbers: a share in floating point may be just below one that is whole.
    quota, remainder = size * count // len(targets), size * count % len(targets)
    extra = remainder.argsort(descending=True, stable=True)[: size - int(quota.sum())]
    quota[extra] += 1
    order = torch.randperm(len(targets), generator=generator)
    shuffled = targets[order]
    return order[rank_in_class(shuffled) < quota[shuffled]].sort().values


def rank_in_class(labels: Int[Tensor, " samples"]) -> Int[Tensor, " samples"]:
    """Return the number of earlier samples with the same label, for each sample.

    Args:
        labels: ``[samples]``, int64, not negative.

    Example:
        >>> import torch
        >>> from metaloss.tasks.stratified import rank_in_class
        >>> rank_in_class(torch.tensor([0, 1, 0, 0, 1]))
        tensor([0, 0, 1, 2, 1])
    """
    order = labels.argsort(stable=True)
    count = labels.bincount()
    first = count.cumsum(0) - count  # the first position of each class in the sorted order
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - first[labels[order]]
    return rank
