"""The adjusted loss, a criterion whose hyperparameters are predicted for each sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from metaloss.adjusters import BaseAdjuster, ConstantAdjuster
from metaloss.checks import check_in_range
from metaloss.conditioners import Conditioner
from metaloss.losses import LossFamily
from metaloss.objective.parts import (
    check_parts,
    check_training_targets,
    features_of,
    predicted,
    remember,
)
from metaloss.objective.progress import warn_of_progress
from metaloss.objective.reduction import IGNORED, check_settings, reduced, weighted
from metaloss.objective.samples import Samples, as_samples
from metaloss.types import Labels, Logits, Targets


class PerSample(NamedTuple):
    """The loss and the hyperparameters of each sample.

    Attributes:
        losses: the losses, in the shape of the targets.
        hparams: the hyperparameters, in the order of ``loss.hyperparameters`` along a last axis.
    """

    losses: Float[Tensor, "*shape"]
    hparams: Float[Tensor, "*shape hyperparameters"]


class AdjustedLoss(nn.Module):
    r"""A loss whose hyperparameters an adjuster predicts for each sample (Eq. 8).

    .. math:: L(w; \theta) = \frac{\sum_i w_{y_i} \mathcal{L}\bigl(f(x_i; w), y_i;
              h(m(x_i, y_i); \theta)\bigr)}{\sum_i w_{y_i}}

    Use it where ``nn.CrossEntropyLoss`` was: it takes the same outputs and targets, reduces in the
    same way, and moves itself to the device of the outputs. A call in training mode with gradients
    enabled updates the conditioner's memory, if it has one. Some conditioners and adjusters need
    two more calls from a training loop: :meth:`prepare` before training (those that remember
    samples by their ids, class groups) and :meth:`progress` during training (snapshots). If
    ``progress`` is needed and was not called, the first training step warns.

    Args:
        loss: the loss family.
        conditioner: computes the adjuster's features; ``None`` if the adjuster reads none.
        adjuster: predicts the hyperparameters.
        detach: treat the features as constants in derivatives, as the paper's code does. Otherwise
            the gradient also flows from the hyperparameters through the features into the network.
        reduction: ``"mean"``, weighted by the class weights; ``"sum"``; or ``"none"``.
        ignore_index: the label of samples that count nowhere: neither in the loss nor in the
            conditioner's memory.
        weight: a weight for each class, ``[classes]``.

    Raises:
        InputError: the adjuster predicts other hyperparameters than the loss's, or reads another
            number of features than the conditioner's; loss and conditioner are of different kinds;
            or an unknown reduction, or a weight that is negative or not finite, or a weight or
            another ``ignore_index`` for regression.

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
    weight: Tensor | None

    def __init__(
        self,
        loss: LossFamily,
        conditioner: Conditioner | None,
        adjuster: BaseAdjuster,
        detach: bool = True,
        *,
        reduction: str = "mean",
        ignore_index: int = IGNORED,
        weight: Float[Tensor, " classes"] | None = None,
    ) -> None:
        super().__init__()
        check_parts(loss, conditioner, adjuster)
        check_settings(loss.kind, reduction, ignore_index, weight)
        self.loss = loss
        self.conditioner = conditioner
        self.adjuster = adjuster
        self.detach = detach
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.register_buffer("weight", weight)
        # Called with the outputs and targets of each batch that the conditioner remembers.
        self.listeners: list[Callable[[Tensor, Tensor], None]] = []

    @classmethod
    def fixed(
        cls,
        loss: LossFamily,
        values: Mapping[str, float] | None = None,
        *,
        reduction: str = "mean",
        ignore_index: int = IGNORED,
        weight: Float[Tensor, " classes"] | None = None,
    ) -> AdjustedLoss:
        """Returns the conventional loss, with the same hyperparameters for every sample (Eq. 6).

        Args:
            loss: the loss family.
            values: the values by hyperparameter name; the others have their defaults.
            reduction: as for the class.
            ignore_index: as for the class.
            weight: as for the class.

        Example:
            >>> import torch
            >>> from metaloss.losses import GCE
            >>> AdjustedLoss.fixed(GCE(), {"q": 1.0})(torch.zeros(1, 2), torch.tensor([0]))
            tensor(0.5000)
        """
        adjuster = ConstantAdjuster(loss.hyperparameters, values)
        settings: dict[str, Any] = {"reduction": reduction, "ignore_index": ignore_index}
        return cls(loss, None, adjuster, weight=weight, **settings)

    def forward(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, " *losses"]:
        """Returns the loss of a batch.

        Args:
            outputs: logits ``[batch, classes]``; ``[batch, classes, d1, ...]``, of which each
                position is a sample; or ``[classes]``. For regression values ``[batch, values]``.
            targets: int64 labels ``[batch]``, ``[batch, d1, ...]`` or ``[]``; or values shaped as
                ``outputs``.
            index: int64 sample ids shaped as the labels, if the conditioner needs them.

        Returns:
            A scalar; with ``reduction="none"`` the losses in the shape of the labels.

        Raises:
            InputError: a wrong shape or dtype; on the CPU also a label out of range, a value that
                is not finite, or a mean over ignored labels alone. Values on an accelerator are
                not checked, which would synchronize with it.
        """
        samples = self._samples(outputs, targets, index, checked=True)
        losses = self._adjusted(samples, track=self._learns).losses
        return reduced(losses, samples, self.weight, self.reduction)

    def losses(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, " *losses"]:
        """Returns the loss of each sample; otherwise the same as a call of the criterion.

        For loops that do their own averaging, over accumulated batches for example. A loss is
        multiplied by the weight of its class, and is 0 where the label is ignored.
        """
        samples = self._samples(outputs, targets, index, checked=True)
        losses = self._adjusted(samples, track=self._learns).losses
        return reduced(losses, samples, self.weight, "none")

    def per_sample(
        self,
        outputs: Logits,
        targets: Labels,
        index: Int[Tensor, " *positions"] | None = None,
        *,
        track: bool = False,
    ) -> PerSample:
        """Returns the loss, as :meth:`losses` does, and the hyperparameters of each sample.

        Args:
            outputs: logits or values, as for a call.
            targets: labels or values.
            index: the sample ids.
            track: update the conditioner's memory too; faster than :meth:`observe` afterwards.

        Raises:
            InputError: a wrong shape or dtype; on the CPU also a label out of range.
        """
        samples = self._samples(outputs, targets, index)
        losses, hparams = self._adjusted(samples, track=track)
        losses = weighted(losses, samples, self.weight)
        return PerSample(samples.shaped(losses), samples.shaped(hparams))

    def training_loss(
        self,
        outputs: Logits,
        targets: Labels,
        index: Int[Tensor, " *positions"] | None = None,
        *,
        features_from: Logits | None = None,
    ) -> Float[Tensor, " *losses"]:
        """Returns the loss of a call in training, and remembers nothing, as a lookahead needs it.

        Args:
            outputs: logits or values, as for a call.
            targets: labels or values.
            index: the sample ids.
            features_from: the outputs to compute the features from; ``outputs`` if not given.
        """
        samples = self._samples(outputs, targets, index)
        read = None
        if features_from is not None and features_from is not outputs:
            read = self._samples(features_from, targets, index)
        losses = self._adjusted(samples, track=False, read=read).losses
        return reduced(losses, samples, self.weight, self.reduction)

    def plain_loss(self, outputs: Logits, targets: Labels) -> Float[Tensor, ""]:
        """Returns the mean plain loss of the criterion's kind, cross entropy for classes.

        It has the criterion's class weights and ignored labels. The arguments are those of a call.
        """
        samples = self._samples(outputs, targets, None)
        if self.weight is None and samples.kept is None:
            return self.loss.kind.mean_loss(samples.outputs, samples.targets)
        losses = self.loss.kind.losses(samples.outputs, samples.targets)
        return reduced(losses, samples, self.weight, "mean")

    def hparams(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, "*shape hyperparameters"]:
        """Returns the hyperparameters of each sample; arguments as for :meth:`per_sample`."""
        samples = self._samples(outputs, targets, index)
        features = features_of(self.conditioner, samples, detach=self.detach)
        return samples.shaped(predicted(self.adjuster, features))

    def features(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, "*shape features"]:
        """Returns the features of each sample; arguments as for :meth:`per_sample`."""
        samples = self._samples(outputs, targets, index)
        return samples.shaped(features_of(self.conditioner, samples, detach=self.detach))

    @property
    def _learns(self) -> bool:
        """Whether a call is one of training, which updates the conditioner's memory."""
        return self.training and torch.is_grad_enabled()

    def _samples(
        self, outputs: Any, targets: Any, index: Tensor | None, *, checked: bool = False
    ) -> Samples:
        kind = self.loss.kind
        samples = as_samples(kind, outputs, targets, index, self.ignore_index)
        device = samples.outputs.device
        if self.adjuster.low.device != device:  # nn.CrossEntropyLoss has nothing to move
            self.to(device)
        if checked and samples.readable:
            kind.check_values(samples.outputs, samples.targets)
        return samples

    def _adjusted(self, samples: Samples, *, track: bool, read: Samples | None = None) -> PerSample:
        """Returns the losses and hyperparameters, a row for each sample and without weights."""
        outputs, targets = samples.outputs, samples.targets
        read = samples if read is None else read
        try:
            features = features_of(self.conditioner, read, detach=self.detach, track=track)
            hparams = predicted(self.adjuster, features)
            losses = self.loss.evaluate(outputs, targets, hparams)
        except (IndexError, RuntimeError):
            self.loss.kind.check_range(outputs, targets)
            raise
        if not self._checked_progress and self.training and outputs.requires_grad:
            self._check_progress()
        if track:
            for listener in self.listeners:
                listener(*samples.given)
        return PerSample(losses, hparams)

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Pass the training targets to the conditioner, once before training.

        Args:
            targets: the training set's targets, in the order of the sample ids.
            num_classes: number of classes; ``None`` for regression.

        Raises:
            InputError: invalid targets, or the loss is for another kind of targets.
        """
        check_training_targets(self.loss, targets, num_classes)
        if self.conditioner is not None:
            self.conditioner.prepare(targets, num_classes)

    def observe(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> None:
        """Update the conditioner's memory with a batch, as a call of the criterion does.

        For loops that use :meth:`per_sample` without ``track``, once in each ordinary step.
        """
        remember(self.conditioner, self._samples(outputs, targets, index))

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
            warn_of_progress()
