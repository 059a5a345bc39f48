"""The adjusted loss: a criterion whose hyperparameters are predicted for each sample."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from metaloss.adjusters import BaseAdjuster, ConstantAdjuster
from metaloss.checks import check_at_least, check_in_range, check_labels, require
from metaloss.conditioners import Conditioner
from metaloss.kinds import kind_of
from metaloss.losses import LossFamily
from metaloss.types import Outputs, Targets


class PerSample(NamedTuple):
    """What the criterion found for each sample.

    Attributes:
        losses: ``[batch]``.
        hparams: ``[batch, d']``, in the order of the loss's ``hyperparameters``.
    """

    losses: Float[Tensor, " batch"]
    hparams: Float[Tensor, "batch hyperparameters"]


class AdjustedLoss(nn.Module):
    r"""A loss whose hyperparameters an adjuster predicts for each sample (Eq. 8).

    .. math:: L(w; \theta) = \frac1n \sum_i \mathcal{L}\bigl(f(x_i; w), y_i;
              h(m(x_i, y_i); \theta)\bigr)

    Use it as any PyTorch criterion: called in training mode with gradients on, it lets the
    conditioner remember the batch. Two hooks are for what has a life of its own, and a loop of your
    own calls them where the parts you chose need it: ``prepare`` before training (moving averages,
    class groups) and ``progress`` as it goes (snapshots). Training without the ``progress`` that a
    part waits for is warned of once.

    Args:
        loss: a family.
        conditioner: what the adjuster is told; ``None`` if it needs to be told nothing.
        adjuster: predicts the hyperparameters.
        detach: hold the features fixed in the derivatives, as the paper's code does. Otherwise
            the gradient also flows from the hyperparameters through the features into the network.

    Raises:
        InputError: the adjuster does not predict this loss's hyperparameters, or does not read
            this conditioner's features, or the conditioner reads classes and the loss has none.

    Example:
        >>> import torch
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> outputs = torch.randn(8, 10, requires_grad=True)
        >>> criterion(outputs, torch.randint(10, (8,))).backward()
    """

    _knows_progress = False  # or has said that it does not

    def __init__(
        self,
        loss: LossFamily,
        conditioner: Conditioner | None,
        adjuster: BaseAdjuster,
        detach: bool = True,
    ) -> None:
        super().__init__()
        predicted, expected = adjuster.hyperparameters, loss.hyperparameters
        require(
            predicted == expected,
            f"adjuster: expected one for {loss.family}'s {_ranges(expected)}, "
            f"got one for {_ranges(predicted)}",
        )
        given = 0 if conditioner is None else conditioner.num_features
        require(
            adjuster.num_features in {None, given},
            f"adjuster: expected one that reads the conditioner's {given} features, "
            f"got one that reads {adjuster.num_features}",
        )
        kind = None if conditioner is None else conditioner.kind
        require(
            kind in {None, loss.kind},
            f"conditioner: expected one for {loss.kind.name}, as {loss.family} is, "
            f"got {type(conditioner).__name__}, which is for {kind and kind.name}",
        )
        self.loss = loss
        self.conditioner = conditioner
        self.adjuster = adjuster
        self.detach = detach

    @classmethod
    def fixed(cls, loss: LossFamily, values: Mapping[str, float] | None = None) -> AdjustedLoss:
        """The conventional loss: the same hyperparameters for every sample (Eq. 6).

        Args:
            loss: a family.
            values: from a hyperparameter's name to its value; defaults for the rest.

        Example:
            >>> import torch
            >>> from metaloss.losses import GCE
            >>> AdjustedLoss.fixed(GCE(), {"q": 1.0})(torch.zeros(1, 2), torch.tensor([0]))
            tensor(0.5000)
        """
        return cls(loss, None, ConstantAdjuster(loss.hyperparameters, values))

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean loss of a batch.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression.
            targets: labels ``[batch]``, int64, or values as the outputs.
            index: the samples' ids ``[batch]``, int64, where the conditioner needs them.

        Raises:
            InputError: a wrong shape or dtype; on the CPU also a label out of range or a value
                that is not finite. (On an accelerator values are not looked at: it would wait.)
        """
        return self.losses(outputs, targets, index).mean()

    def losses(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """The criterion without the mean: the loss of each sample, and the batch is remembered.

        For a loop that averages by itself, over accumulated batches for instance; arguments and
        errors are the criterion's.
        """
        self.loss.kind.check(outputs, targets)
        if outputs.device.type == "cpu" and not torch.compiler.is_compiling():
            self.loss.kind.check_values(outputs, targets)
        track = self.training and torch.is_grad_enabled()
        return self.per_sample(outputs, targets, index, track=track).losses

    def per_sample(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        *,
        track: bool = False,
    ) -> PerSample:
        """The loss and the hyperparameters of each sample.

        Args:
            outputs: as for the criterion, and so the next two.
            targets: labels or values.
            index: the samples' ids.
            track: let the conditioner remember the batch, as :meth:`observe` does, which takes
                longer on its own.

        Raises:
            InputError: a wrong shape or dtype; on the CPU also a label out of range.
        """
        try:
            hparams = self.hparams(outputs, targets, index, track=track)
            losses = self.loss(outputs, targets, hparams)
        except (IndexError, RuntimeError):
            self.loss.kind.check_range(outputs, targets)
            raise
        if not self._knows_progress and self.training and outputs.requires_grad:
            self._check_progress()
        return PerSample(losses, hparams)

    def hparams(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        *,
        track: bool = False,
    ) -> Float[Tensor, "batch hyperparameters"]:
        """The hyperparameters of each sample; arguments as for :meth:`per_sample`."""
        features = self.features(outputs, targets, index, track=track)
        # The adjuster's own precision: half-precision logits must not round its constants.
        features = features.to(self.adjuster.low.dtype)
        device = features.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.adjuster(features)
        return self.adjuster(features)

    def features(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        *,
        track: bool = False,
    ) -> Float[Tensor, "batch features"]:
        """What the adjuster is told of each sample; arguments as for :meth:`per_sample`."""
        self.loss.kind.check(outputs, targets)
        if self.conditioner is None:
            return outputs.new_empty(len(outputs), 0)
        outputs = outputs.detach() if self.detach else outputs
        if track:
            return self.conditioner.track(_to_remember(outputs), targets, index)
        return self.conditioner(outputs, targets, index)

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Show the conditioner the training targets, once before training.

        Args:
            targets: addressed by a batch's index.
            num_classes: number of classes; ``None`` for regression.

        Raises:
            InputError: the loss is for the other kind of targets, or they are not such targets.
        """
        if num_classes is not None:
            check_at_least("num_classes", num_classes, 2)
            check_labels("targets", targets, num_classes)
        expected = kind_of(num_classes)
        require(
            self.loss.kind == expected,
            f"loss: expected one for {expected.name}, as the targets are, "
            f"got {self.loss.family}, which is for {self.loss.kind.name}",
        )
        if self.conditioner is not None:
            self.conditioner.prepare(targets, num_classes)

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Let the conditioner remember a batch, as the criterion does when it is called.

        For a loop that takes :meth:`per_sample` without ``track``, once for each ordinary step.
        """
        if self.conditioner is not None:
            self.conditioner.observe(_to_remember(outputs.detach()), targets, index)

    def progress(self, fraction: float) -> None:
        """Say how much of training is done, from 0 to 1: moves snapshots and ``Progress``."""
        check_in_range("progress", fraction, 0.0, 1.0)
        self.adjuster.set_progress(fraction)
        if self.conditioner is not None:
            self.conditioner.set_progress(fraction)

    def _check_progress(self) -> None:
        """In a training step's first call: warn if a part waits to be told of progress."""
        self._knows_progress = True
        if any(getattr(module, "awaits_progress", False) for module in self.modules()):
            _warn_of_progress()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # is called as it is
def _warn_of_progress() -> None:
    warnings.warn(
        "this criterion changes as training proceeds, but criterion.progress(fraction) was never "
        "called: it stays as it is at one point of training (snapshots: the last one; the Progress "
        "feature: 0). Call criterion.progress(step / total_steps) before each step or epoch, or "
        "criterion.progress(1.0) once if that is what you want",
        stacklevel=2,
    )


def _to_remember(outputs: Tensor) -> Tensor:
    """The outputs with 0 for what is not finite, which would stay in a memory for good.

    On an accelerator values are not looked at, and a step whose half precision overflows may be
    skipped by who makes it. The loss is not finite all the same.
    """
    return outputs.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _ranges(hyperparameters: tuple[object, ...]) -> str:
    return "(" + ", ".join(f"{h.name} in [{h.low:g}, {h.high:g}]" for h in hyperparameters) + ")"  # type: ignore[attr-defined]
