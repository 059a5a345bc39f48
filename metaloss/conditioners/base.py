"""What an adjuster is told about each sample.

A conditioner turns a batch's outputs and labels into features. The criterion detaches them from
the network unless told otherwise. Most are pure; the few with a memory have three hooks, which the
criterion passes on: ``prepare`` once before training, ``observe`` with every ordinary step (never
inside a lookahead; ``track`` reads and observes in one pass) and ``set_progress`` as training
proceeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from metaloss.checks import InputError, check_in_range, require, seen
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.numerics import at_least_single
from metaloss.types import Outputs, Targets


class Conditioner(nn.Module, ABC):
    """What an adjuster is told about each sample.

    To define one, set ``num_features`` and write ``forward``.

    Attributes:
        num_features: columns of the features.
        needs_index: whether ``forward`` must be given the samples' ids.
        kind: whether it reads classes or values; ``None`` if it does not matter.
        awaits_progress: whether its features say how far training has come, and nobody has told it.
    """

    num_features: int
    needs_index: bool = False
    kind: Kind | None = CLASSIFICATION
    awaits_progress: bool = False
    # Buffers whose size comes from the data, so that a checkpoint may bring another size.
    sized_by_data: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """The features of each sample.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression.
            targets: labels ``[batch]``, int64, or values as the outputs.
            index: the samples' ids ``[batch]``, int64, where ``needs_index``.

        Returns:
            ``[batch, num_features]``, in single precision at least.
        """

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Learn what there is to know of the training set before training starts.

        Args:
            targets: the training set's, addressed by a batch's index.
            num_classes: number of classes; ``None`` for regression.
        """

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Remember a batch that an ordinary step was made on; arguments as for ``forward``."""

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """``forward`` and then ``observe``: the features of a batch, which is remembered.

        A conditioner that can have both for less than one after the other overrides it; arguments
        as for ``forward``.
        """
        features = self(outputs, targets, index)
        self.observe(outputs.detach() if outputs.requires_grad else outputs, targets, index)
        return features

    def set_progress(self, fraction: float) -> None:
        """Take note of how much of training is done, from 0 to 1."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Conditioner:
        """Move or cast it, but keep what it remembers in single precision at least.

        Sums over many batches are lost in half precision: from 256 on, bfloat16 cannot add 1.
        """
        super()._apply(at_least_single(fn), recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.sized_by_data:
            loaded = state_dict.get(prefix + name)
            if loaded is not None:
                setattr(self, name, getattr(self, name).new_empty(loaded.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def check_decay(decay: float) -> float:
    """Return ``decay`` if an average that forgets at this rate learns anything: in [0, 1).

    Raises:
        InputError: it does not.
    """
    check_in_range("decay", decay, 0.0, 1.0)
    require(decay < 1.0, "decay: expected less than 1, which would never learn anything, got 1")
    return decay


def given(conditioner: Conditioner, index: Tensor | None, targets: Tensor) -> Tensor:
    """The samples' ids, one a target, or an :class:`InputError` that says how to pass them."""
    if index is None:
        raise InputError(
            f"{type(conditioner).__name__} addresses samples by their ids: call the criterion as "
            "criterion(outputs, targets, index)"
        )
    fits = isinstance(index, Tensor) and index.shape == targets.shape[:1]
    if not fits or index.dtype != torch.int64:
        raise InputError(f"index: expected int64 ids {list(targets.shape[:1])}, got {seen(index)}")
    return index
