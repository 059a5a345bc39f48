"""The adjusted loss, a criterion whose hyperparameters are predicted for each sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from metaloss.adjusters import BaseAdjuster, ConstantAdjuster
from metaloss.checks import check_at_least, check_in_range, check_labels, require
from metaloss.conditioners import Conditioner
from metaloss.kinds import kind_of
from metaloss.losses import LossFamily
from metaloss.losses.hyperparameter import ranges
from metaloss.types import Outputs, Targets


class PerSample(NamedTuple):
    """The loss and the hyperparameters of each sample.

    Attributes:
        losses: the losses, ``[batch]``.
        hparams: the hyperparameters, ``[batch, d']``, in the order of ``loss.hyperparameters``.
    """

    losses: Float[Tensor, " batch"]
    hparams: Float[Tensor, "batch hyperparameters"]


class AdjustedLoss(nn.Module):
    r"""A loss whose hyperparameters an adjuster predicts for each sample (Eq. 8).

    .. math:: L(w; \theta) = \frac1n \sum_i \mathcal{L}\bigl(f(x_i; w), y_i;
              h(m(x_i, y_i); \theta)\bigr)

    Use it like any PyTorch criterion. A call in training mode with gradients enabled updates the
    conditioner's memory, if it has one. Some conditioners and adjusters need two more calls from a
    training loop: :meth:`prepare` before training (moving averages, class groups) and
    :meth:`progress` during training (snapshots). If ``progress`` is needed and was not called, the
    first training step warns.

    Args:
        loss: the loss family.
        conditioner: computes the adjuster's features; ``None`` if the adjuster reads none.
        adjuster: predicts the hyperparameters.
        detach: treat the features as constants in derivatives, as the paper's code does. Otherwise
            the gradient also flows from the hyperparameters through the features into the network.

    Raises:
        InputError: the adjuster predicts other hyperparameters than the loss's, or reads another
            number of features than the conditioner's, or loss and conditioner are of different
            kinds.

    Example:
        >>> import torch
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> outputs = torch.randn(8, 10, requires_grad=True)
        >>> criterion(outputs, torch.randint(10, (8,))).backward()
    """

    _checked_progress = False

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
            f"adjuster: expected one for {loss.family}'s {ranges(expected)}, "
            f"got one for {ranges(predicted)}",
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
        # Called with the outputs and targets of each batch that the conditioner remembers.
        self.listeners: list[Callable[[Tensor, Tensor], None]] = []

    @classmethod
    def fixed(cls, loss: LossFamily, values: Mapping[str, float] | None = None) -> AdjustedLoss:
        """Returns the conventional loss, with the same hyperparameters for every sample (Eq. 6).

        Args:
            loss: the loss family.
            values: the values by hyperparameter name; the others have their defaults.

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
        """Returns the mean loss of a batch.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression.
            targets: int64 labels ``[batch]``, or values shaped as ``outputs``.
            index: int64 sample ids ``[batch]``, if the conditioner needs them.

        Raises:
            InputError: a wrong shape or dtype; on the CPU also a label out of range or a value
                that is not finite. Values on an accelerator are not checked, which would
                synchronize with it.
        """
        return self.losses(outputs, targets, index).mean()

    def losses(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """Returns the loss of each sample; otherwise the same as a call of the criterion.

        For loops that do their own averaging, over accumulated batches for example.
        """
        self.loss.kind.check(outputs, targets)
        if outputs.device.type == "cpu" and not torch.compiler.is_compiling():
            self.loss.kind.check_values(outputs, targets)
        track = self.training and torch.is_grad_enabled()
        return self._per_sample(outputs, targets, index, track=track).losses

    def per_sample(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        *,
        track: bool = False,
    ) -> PerSample:
        """Returns the loss and the hyperparameters of each sample.

        Args:
            outputs: logits or values, as for a call.
            targets: labels or values.
            index: the sample ids.
            track: update the conditioner's memory too; faster than :meth:`observe` afterwards.

        Raises:
            InputError: a wrong shape or dtype; on the CPU also a label out of range.
        """
        self.loss.kind.check(outputs, targets)
        return self._per_sample(outputs, targets, index, track=track)

    def _per_sample(
        self, outputs: Outputs, targets: Targets, index: Tensor | None, *, track: bool
    ) -> PerSample:
        try:
            hparams = self._predict(self._features(outputs, targets, index, track=track))
            losses = self.loss.evaluate(outputs, targets, hparams)
        except (IndexError, RuntimeError):
            self.loss.kind.check_range(outputs, targets)
            raise
        if not self._checked_progress and self.training and outputs.requires_grad:
            self._check_progress()
        if track:
            for listener in self.listeners:
                listener(outputs, targets)
        return PerSample(losses, hparams)

    def hparams(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Returns the hyperparameters of each sample; arguments as for :meth:`per_sample`."""
        return self._predict(self.features(outputs, targets, index))

    def _predict(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        # In the adjuster's precision: half-precision logits must not round its constants.
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
    ) -> Float[Tensor, "batch features"]:
        """Returns the features of each sample; arguments as for :meth:`per_sample`."""
        self.loss.kind.check(outputs, targets)
        return self._features(outputs, targets, index, track=False)

    def _features(
        self, outputs: Outputs, targets: Targets, index: Tensor | None, *, track: bool
    ) -> Float[Tensor, "batch features"]:
        if self.conditioner is None:
            return outputs.new_empty(len(outputs), 0)
        outputs = outputs.detach() if self.detach else outputs
        if track:
            return self.conditioner.track(_finite(outputs), targets, index)
        return self.conditioner(outputs, targets, index)

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Pass the training targets to the conditioner, once before training.

        Args:
            targets: the training set's targets, in the order of the sample ids.
            num_classes: number of classes; ``None`` for regression.

        Raises:
            InputError: invalid targets, or the loss is for another kind of targets.
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
        """Update the conditioner's memory with a batch, as a call of the criterion does.

        For loops that use :meth:`per_sample` without ``track``, once in each ordinary step.
        """
        if self.conditioner is not None:
            self.conditioner.observe(_finite(outputs.detach()), targets, index)

    def progress(self, fraction: float) -> None:
        """Set the fraction of training that is done, which selects the snapshot."""
        check_in_range("progress", fraction, 0.0, 1.0)
        self.adjuster.set_progress(fraction)
        if self.conditioner is not None:
            self.conditioner.set_progress(fraction)

    def _check_progress(self) -> None:
        """Warn in the first training step if a module needs ``progress``, which was not called."""
        self._checked_progress = True
        if any(getattr(module, "awaits_progress", False) for module in self.modules()):
            _warn_of_progress()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _warn_of_progress() -> None:
    warnings.warn(
        "this criterion changes as training proceeds, but criterion.progress(fraction) was never "
        "called: it stays as it is at one point of training (snapshots: the last one; the Progress "
        "feature: 0). Call criterion.progress(step / total_steps) before each step or epoch, or "
        "criterion.progress(1.0) once if that is what you want",
        stacklevel=2,
    )


def _finite(outputs: Tensor) -> Tensor:
    """Returns the outputs with 0 in place of NaN and infinity, which a memory would keep forever.

    They can occur on an accelerator, where values are not checked: a gradient scaler skips a step
    that overflows. The loss is computed from the outputs as they are.
    """
    return outputs.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
