"""The forms in which batches are given to lookaheads and lookbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from metaloss.checks import require, seen
from metaloss.objective.samples import widened
from metaloss.types import Batch

AnyBatch: TypeAlias = Batch | Sequence[Any] | Mapping[str, Tensor]
"""``(inputs, targets)``, ``(inputs, targets, index)``, or a dictionary with ``"labels"``."""

LABELS, INDEX = "labels", "index"

_WANTED = f"(inputs, targets), (inputs, targets, index) or a dictionary with the key {LABELS!r}"


def as_batch(name: str, given: Any) -> Batch:
    """Return the given batch as a :class:`~metaloss.types.Batch`.

    Args:
        name: the name of the batch in errors.
        given: ``(inputs, targets)`` or ``(inputs, targets, index)``, where the inputs may be a
            mapping of tensors; or such a mapping with the targets under ``"labels"``, and the
            samples' positions under ``"index"`` if they are needed.

    Raises:
        InputError: ``given`` has another form, or its inputs or targets are not tensors.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.batches import as_batch
        >>> as_batch("meta_batch", (torch.zeros(2, 3), torch.zeros(2))).index is None
        True
        >>> tokens, labels = torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 1])
        >>> batch = as_batch("meta_batch", {"input_ids": tokens, "labels": labels})
        >>> list(batch.inputs), batch.targets
        (['input_ids'], tensor([0, 1]))
    """
    if isinstance(given, Mapping):
        batch = _of_mapping(name, given)
    else:
        require(
            isinstance(given, tuple | list),
            f"{name}: expected {_WANTED}, got a {type(given).__name__}",
        )
        require(len(given) in {2, 3}, f"{name}: expected {_WANTED}, got {len(given)} parts")
        batch = Batch(*given)
    batch = batch._replace(targets=widened(batch.targets))
    if isinstance(batch.inputs, Mapping):
        require(len(batch.inputs) > 0, f"{name}: expected inputs of the model, got none")
    for part, value in parts_of(batch).items():
        require(
            isinstance(value, Tensor), f"{name}: expected {part} as a tensor, got {seen(value)}"
        )
        require(
            not value.is_inference(),
            f"{name}: expected {part} that gradients can be computed with, got a tensor made "
            "under torch.inference_mode(); make it under torch.no_grad(), or clone it",
        )
    return batch


def as_batches(name: str, given: Any) -> tuple[Batch, ...]:
    """Return a step's batch or micro-batches as a tuple of :class:`~metaloss.types.Batch`.

    Args:
        name: the name of the batches in errors.
        given: a batch as for :func:`as_batch`, or a list or tuple of batches.

    Raises:
        InputError: ``given`` has another form.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.batches import as_batches
        >>> batch = torch.zeros(2, 3), torch.zeros(2)
        >>> len(as_batches("batch", batch)), len(as_batches("batch", [batch, batch]))
        (1, 2)
    """
    # The inputs of a single batch may be a mapping too, but its targets are a tensor.
    several = isinstance(given, list | tuple) and len(given) > 0
    if several and all(isinstance(each, list | tuple | Mapping) for each in given):
        return tuple(as_batch(f"{name}[{k}]", each) for k, each in enumerate(given))
    return (as_batch(name, given),)


def parts_of(batch: Batch) -> dict[str, Any]:
    """Return a batch's inputs and targets by their names in errors.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.batches import as_batch, parts_of
        >>> list(parts_of(as_batch("batch", ({"x": torch.zeros(2, 3)}, torch.zeros(2)))))
        ["inputs['x']", 'targets']
    """
    inputs = batch.inputs
    if not isinstance(inputs, Mapping):
        return {"inputs": inputs, "targets": batch.targets}
    named = {f"inputs[{key!r}]": value for key, value in inputs.items()}
    return {**named, "targets": batch.targets}


def _of_mapping(name: str, given: Mapping[str, Any]) -> Batch:
    keys = ", ".join(map(str, given)) or "none"
    require(
        LABELS in given,
        f"{name}: expected the key {LABELS!r} beside the model's inputs, got a "
        f"{type(given).__name__} with the keys {keys}",
    )
    inputs = {key: value for key, value in given.items() if key not in {LABELS, INDEX}}
    return Batch(inputs, given[LABELS], given.get(INDEX))
