"""The samples of a call: every position of dense outputs is one, and some may be ignored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError, extremes, require, seen
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.types import Outputs, Targets


class Samples(NamedTuple):
    """Outputs and targets with one row for each sample.

    Attributes:
        outputs: ``[samples, outputs]``.
        targets: labels ``[samples]``, 0 where they are ignored; or values as ``outputs``.
        index: the sample ids, ``[samples]``, 0 where labels are ignored; if there are any.
        kept: which samples are not ignored, ``[samples]``; ``None`` if all are kept.
        shape: the shape of the losses.
        given: the outputs and targets that were given.
        finite: whether the outputs are known to be finite.
    """

    outputs: Outputs
    targets: Targets
    index: Int[Tensor, " samples"] | None  # type: ignore[assignment]  # hides a method of tuples
    kept: Bool[Tensor, " samples"] | None
    shape: tuple[int, ...]
    given: tuple[Tensor, Tensor]
    finite: bool = False

    @property
    def readable(self) -> bool:
        """Whether values can be read without waiting for a device."""
        return readable(self.outputs)

    def shaped(self, rows: Float[Tensor, " samples *rest"]) -> Float[Tensor, " *shape"]:
        """Return one value or row for each sample in the shape of the targets."""
        if len(self.shape) == 1:
            return rows
        return rows.reshape((*self.shape, *rows.shape[1:]))


def as_samples(
    kind: Kind, outputs: Any, targets: Any, index: Tensor | None, ignore_index: int
) -> Samples:
    """Return the samples of a call.

    Args:
        kind: the kind of the targets.
        outputs: logits ``[batch, classes]``, ``[batch, classes, d1, ...]`` or ``[classes]``, or
            what :func:`logits_in` reads them from; values ``[batch, values]`` for regression.
        targets: int64 or uint8 labels ``[batch]``, ``[batch, d1, ...]`` or ``[]``; values
            ``[batch, values]``.
        index: sample ids, shaped as the labels.
        ignore_index: the label of samples that do not count.

    Raises:
        InputError: a wrong shape or dtype, or probabilities instead of labels.

    Example:
        >>> import torch
        >>> from metaloss.kinds import CLASSIFICATION
        >>> from metaloss.objective.samples import as_samples
        >>> labels = torch.tensor([[0, 1, -100]])
        >>> samples = as_samples(CLASSIFICATION, torch.zeros(1, 4, 3), labels, None, -100)
        >>> samples.outputs.shape, samples.targets, samples.kept
        (torch.Size([3, 4]), tensor([0, 1, 0]), tensor([ True,  True, False]))
    """
    outputs = logits_in(outputs, targets)
    targets = widened(targets)
    given = outputs, targets
    if kind == CLASSIFICATION and not (_has(outputs, 2) and _has(targets, 1)):
        _refuse_probabilities(outputs, targets)
        outputs, targets, index = _rows(outputs, targets, index)
    kind.check(outputs, targets)
    if kind != CLASSIFICATION:
        return Samples(outputs, targets, index, None, (len(targets),), given)
    shape = tuple(given[1].shape)
    if readable(targets) and not _holds(targets, ignore_index):
        return Samples(outputs, targets, index, None, shape, given)
    ignored = targets == ignore_index
    if isinstance(index, Tensor) and index.shape == ignored.shape:
        index = index.masked_fill(ignored, 0)  # padding may have any id
    kept = targets.masked_fill(ignored, 0)
    return Samples(outputs, kept, index, ~ignored, shape, given)


def widened(targets: Any) -> Any:
    """Return uint8 labels as int64, for ``nn.CrossEntropyLoss`` takes both; others as they are."""
    bytes_ = isinstance(targets, Tensor) and targets.dtype == torch.uint8
    return targets.long() if bytes_ else targets


def readable(values: Tensor) -> bool:
    """Whether values can be read at once: on the CPU, neither compiled nor under torch.func."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling() and not transformed()


def transformed() -> bool:
    """Whether a transform of ``torch.func``, such as ``grad`` or ``vmap``, calls this function."""
    return bool(torch._C._are_functorch_transforms_active())


def logits_in(outputs: Any, targets: Any) -> Any:
    """Return the logits that a model's output holds, and any other outputs as they are.

    The models of Hugging Face's transformers return a mapping, and put the classes last if there is
    a label for each token: logits ``[batch, tokens, classes]`` become ``[batch, classes, tokens]``.

    Args:
        outputs: a tensor, a mapping with an entry ``"logits"``, or an object that has ``logits``.
        targets: the labels.

    Example:
        >>> import torch
        >>> from metaloss.objective.samples import logits_in
        >>> logits_in({"logits": torch.zeros(2, 7, 3)}, torch.zeros(2, 7).long()).shape
        torch.Size([2, 3, 7])
    """
    if isinstance(outputs, Tensor):
        return outputs
    held = outputs.get("logits") if isinstance(outputs, Mapping) else None
    logits = getattr(outputs, "logits", None) if held is None else held
    if not isinstance(logits, Tensor):
        return outputs
    by_token = logits.ndim == 3 and getattr(targets, "shape", None) == logits.shape[:-1]
    return logits.movedim(-1, 1) if by_token else logits


def _holds(targets: Tensor, label: int) -> bool:
    if len(targets) == 0:
        return False
    low, high = extremes(targets)  # quicker than a comparison with each
    return low <= label <= high


def _has(value: Any, axes: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == axes


def _rows(
    outputs: Tensor, targets: Tensor, index: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return a row for each position, or what was given if there is no position for a label."""
    if not isinstance(outputs, Tensor) or outputs.ndim in {0, 2}:
        return outputs, targets, index
    if not _has(targets, outputs.ndim - 1):
        return outputs, targets, index
    if outputs.ndim == 1:
        return outputs.unsqueeze(0), targets.reshape(1), index if index is None else index.view(-1)
    expected = [*outputs.shape[:1], *outputs.shape[2:]]
    require(
        list(targets.shape) == expected,
        f"targets: expected a label for each position of outputs {list(outputs.shape)}, "
        f"{expected}, got {list(targets.shape)}",
    )
    if isinstance(index, Tensor) and index.shape == targets.shape:
        index = index.reshape(-1)
    return _classes_last(outputs), targets.reshape(-1), index


def _classes_last(outputs: Tensor) -> Tensor:
    classes, positions = outputs.shape[1], math.prod([outputs.shape[0], *outputs.shape[2:]])
    return outputs.movedim(1, -1).reshape(positions, classes)


def _refuse_probabilities(outputs: Any, targets: Any) -> None:
    both = isinstance(outputs, Tensor) and isinstance(targets, Tensor)
    if both and targets.is_floating_point() and targets.shape == outputs.shape and targets.ndim > 0:
        raise InputError(
            f"targets: expected int64 labels, for a loss of each sample reads one label, got "
            f"{seen(targets)}: probabilities of classes, as mixup and label smoothing make; pass "
            "the labels, and smooth with metaloss.losses.LabelSmoothing"
        )
