"""Exchanges tensors between processes; each function returns its argument if there is only one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.digest import digest
from metaloss.processes.group import rank, together, world_size


def mean_over(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the mean of each tensor over the processes; the same numbers on each of them.

    Args:
        tensors: of the same shapes and types on every process.

    Example:
        >>> import torch
        >>> from metaloss.processes import mean_over
        >>> mean_over([torch.ones(2)])
        [tensor([1., 1.])]
    """
    if not together():
        return list(tensors)
    return [total / world_size() for total in sum_over(tensors)]


def sum_over(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sum of each tensor over the processes; the same numbers on each of them.

    The tensors of one type travel together, in one message.

    Args:
        tensors: of the same shapes and types on every process.
    """
    if not together():
        return list(tensors)
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for i, tensor in enumerate(tensors):
        alike.setdefault((tensor.device, tensor.dtype), []).append(i)
    found = list(tensors)
    for positions in alike.values():
        flat = torch.cat([tensors[i].detach().reshape(-1) for i in positions])
        dist.all_reduce(torch.view_as_real(flat) if flat.is_complex() else flat)
        parts = torch.split(flat, [tensors[i].numel() for i in positions])
        for i, part in zip(positions, parts, strict=True):
            found[i] = part.view(tensors[i].shape)
    return found


def largest_over(value: Tensor) -> Tensor:
    """Return the largest value of a scalar over the processes; NaN if one is NaN."""
    if not together():
        return value
    found = [torch.empty_like(value) for _ in range(world_size())]
    dist.all_gather(found, value.detach())
    return torch.stack(found).max()


def joint_rows(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the rows of all processes, those of process 0 first.

    Args:
        tensors: of equal length, the number of this process's rows, which may differ from that of
            another process; the other axes and the types may not.

    Returns:
        Detached tensors, the same on every process.

    Example:
        >>> import torch
        >>> from metaloss.processes import joint_rows
        >>> joint_rows([torch.arange(3)])
        [tensor([0, 1, 2])]
    """
    if not together():
        return list(tensors)
    device = tensors[0].device
    own = torch.tensor([len(tensors[0])], device=device)
    lengths = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(lengths, own)
    counts = [int(length) for length in lengths]
    most = max(counts)
    found = []
    for tensor in tensors:
        padded = tensor.new_zeros(most, *tensor.shape[1:])
        padded[: len(tensor)] = tensor.detach()
        everyone = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(everyone, padded)
        rows = [each[:count] for each, count in zip(everyone, counts, strict=True)]
        found.append(torch.cat(rows))
    return found


@torch.no_grad()
def share(tensors: Iterable[Tensor]) -> None:
    """Overwrite the tensors by those of process 0."""
    if together():
        for tensor in tensors:
            whole = tensor.contiguous()
            dist.broadcast(whole, src=0)
            tensor.copy_(whole)


def check_same(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Raise an error, on all processes, unless all hold the same tensors.

    One sum of each tensor is compared, and one of its squares, so the cost is that of one short
    message. It waits for the device.

    Args:
        what: the tensors' name in the message.
        tensors: by name, the same names on every process.

    Raises:
        InputError: a process holds other values.
    """
    if not together() or not tensors:
        return
    flat = [t.detach().double().nan_to_num() for t in tensors.values()]
    sums = torch.stack([part for t in flat for part in (t.sum(), (t * t).sum())])
    extremes = torch.cat([sums, -sums])
    dist.all_reduce(extremes, op=dist.ReduceOp.MAX)
    most, least = extremes.chunk(2)
    apart = (most != -least).view(-1, 2).any(dim=1)
    if bool(apart.any()):
        name = list(tensors)[int(apart.int().argmax())]
        raise InputError(
            f"{what}: expected the same values on all {world_size()} processes, but {name} "
            f"differs on process {rank()} or another; begin with the same weights and random "
            "seed on each, and give each the same hypergradient"
        )


def check_same_text(what: str, text: str) -> None:
    """Raise an error, on all processes, unless all have the same text.

    Args:
        what: the text's name in the message.
        text: of any length; its digest is compared.

    Raises:
        InputError: a process has another text.
    """
    if not together():
        return
    found = [""] * world_size()
    dist.all_gather_object(found, digest(text))
    others = [str(i) for i, each in enumerate(found) if each != found[0]]
    require(
        not others,
        f"{what}: expected the same on all {world_size()} processes, but process 0 has another one "
        f"than {', '.join(others)}",
    )
