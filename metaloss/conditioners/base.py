"""The base class of conditioners.

A conditioner computes features from a batch's outputs and labels. Most are pure functions. Those
with a memory have three hooks, which the criterion calls: ``prepare`` once before training,
``observe`` in every ordinary step (never in a lookahead; ``track`` combines it with ``forward``),
and ``set_progress`` during training. Samples whose label is ignored are not remembered:
:func:`tracked` and :func:`observed` see to that.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from metaloss.checks import InputError, check_at_least, check_in_range, require, seen
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.numerics import at_least_single
from metaloss.types import Outputs, Targets


class Conditioner(nn.Module, ABC):
    """Computes the features that an adjuster reads for each sample.

    To define one, set ``num_features`` and implement ``forward``.

    Attributes:
        num_features: number of features.
        needs_index: whether ``forward`` needs the sample ids.
        kind: the kind of targets that it reads; ``None`` for any.
        awaits_progress: whether it needs ``set_progress``, which has not been called.
        takes_kept: whether its ``observe`` and ``track`` have the argument ``kept``. If not, they
            are given the samples that are kept alone, and selecting these waits for an accelerator.
    """

    num_features: int
    needs_index: bool = False
    kind: Kind | None = CLASSIFICATION
    awaits_progress: bool = False
    takes_kept: ClassVar[bool] = True
    # Buffers whose size depends on the data; a checkpoint may hold another size.
    sized_by_data: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Look up whether the hooks of the subclass take ``kept``."""
        super().__init_subclass__()
        hooks = (cls.observe, cls.track)
        cls.takes_kept = all("kept" in inspect.signature(hook).parameters for hook in hooks)

    @property
    def remembers(self) -> bool:
        """Whether ``observe`` does something: then the batches of all processes are observed."""
        return type(self).observe is not Conditioner.observe

    @abstractmethod
    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the features of each sample, which must not depend on the rest of the batch.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression.
            targets: int64 labels ``[batch]``, or values shaped as ``outputs``.
            index: int64 sample ids ``[batch]``, if ``needs_index``.

        Returns:
            The features, ``[batch, num_features]``, in float32 or float64.
        """

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Set up the memory for a training set, before training.

        Args:
            targets: the training set's targets, in the order of the sample ids.
            num_classes: number of classes; ``None`` for regression.
        """

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Update the memory with the batch of an ordinary step.

        Args:
            outputs: as for ``forward``.
            targets: as for ``forward``; any class where the label is ignored.
            index: as for ``forward``.
            kept: which samples to remember, ``[batch]``; ``None`` for all.
        """

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the features of a batch and update the memory: ``forward``, then ``observe``.

        Override it where one pass can do both. The arguments are those of ``observe``.
        """
        features = self(outputs, targets, index)
        seen = outputs.detach() if outputs.requires_grad else outputs
        observed(self, seen, targets, index, kept)
        return features

    def set_progress(self, fraction: float) -> None:
        """Set the fraction of training that is done, from 0 to 1."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Conditioner:
        """Move or cast it, but keep its memory in float32 at least.

        Half precision cannot hold sums over many batches: in bfloat16, 256 + 1 is 256.
        """
        super()._apply(at_least_single(fn), recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.sized_by_data:
            loaded = state_dict.get(prefix + name)
            if loaded is not None:
                with torch.inference_mode(False):  # else training could not write to it
                    setattr(self, name, getattr(self, name).new_empty(loaded.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def observed(
    conditioner: Conditioner,
    outputs: Outputs,
    targets: Targets,
    index: Int[Tensor, " batch"] | None = None,
    kept: Bool[Tensor, " batch"] | None = None,
) -> None:
    """Call ``observe`` of any conditioner, also of one that does not take ``kept``.

    The arguments are those of :meth:`Conditioner.observe`.
    """
    if kept is None:
        conditioner.observe(outputs, targets, index)
    elif conditioner.takes_kept:
        conditioner.observe(outputs, targets, index, kept)
    else:
        index = None if index is None else index[kept]
        conditioner.observe(outputs[kept], targets[kept], index)


def tracked(
    conditioner: Conditioner,
    outputs: Outputs,
    targets: Targets,
    index: Int[Tensor, " batch"] | None = None,
    kept: Bool[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch features"]:
    """Call ``track`` of any conditioner, also of one that does not take ``kept``.

    The arguments are those of :meth:`Conditioner.observe`.

    Returns:
        The features of all samples of the batch, ``[batch, num_features]``.
    """
    if kept is None:
        return conditioner.track(outputs, targets, index)
    if conditioner.takes_kept:
        return conditioner.track(outputs, targets, index, kept)
    features = conditioner(outputs, targets, index)
    observed(conditioner, outputs.detach(), targets, index, kept)
    return features


def features_declared(conditioner: Conditioner) -> int:
    """Return the number of features that a conditioner declares.

    Raises:
        InputError: it declares none.
    """
    declared = getattr(conditioner, "num_features", None)
    return check_at_least(f"{type(conditioner).__name__}.num_features", declared, 0)  # type: ignore[arg-type]


def check_decay(decay: float) -> float:
    """Return ``decay`` if it is in [0, 1).

    Raises:
        InputError: ``decay`` is out of range.
    """
    check_in_range("decay", decay, 0.0, 1.0)
    require(decay < 1.0, "decay: expected less than 1, which would never learn anything, got 1")
    return decay


def remembered(values: Tensor, index: Int[Tensor, " batch"]) -> Tensor:
    """Return the rows with these sample ids; raise :class:`InputError` if there is no such row."""
    try:
        return values.index_select(0, index)
    except IndexError as error:
        raise InputError(
            f"index: expected ids in 0..{len(values) - 1}, as many as there are training targets, "
            f"got {int(index.min())}..{int(index.max())}"
        ) from error


def checked_index(conditioner: Conditioner, index: Tensor | None, targets: Tensor) -> Tensor:
    """Return the sample ids, one for each target; raise :class:`InputError` without them."""
    if index is None:
        raise InputError(
            f"{type(conditioner).__name__} addresses samples by their ids: call the criterion as "
            "criterion(outputs, targets, index)"
        )
    fits = isinstance(index, Tensor) and index.shape == targets.shape[:1]
    if not fits or index.dtype != torch.int64:
        raise InputError(f"index: expected int64 ids {list(targets.shape[:1])}, got {seen(index)}")
    return index
