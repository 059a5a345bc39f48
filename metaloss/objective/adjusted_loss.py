"""The adjusted loss, a criterion whose hyperparameters are predicted for each sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.adjusters import ConstantAdjuster
from metaloss.checks import check_made
from metaloss.losses import LossFamily
from metaloss.objective.criterion import Criterion
from metaloss.objective.features import features_of, predicted
from metaloss.objective.reduction import IGNORED, plain, reduced, weighted
from metaloss.objective.samples import Samples
from metaloss.types import Labels, Logits


class PerSample(NamedTuple):
    """The loss and the hyperparameters of each sample.

    Attributes:
        losses: the losses, ``[batch]``, or in the shape of the labels.
        hparams: the hyperparameters, ``[batch, d']``, or with more axes as the labels, in the order
            of ``loss.hyperparameters``.
    """

    losses: Tensor
    hparams: Tensor


class AdjustedLoss(Criterion):
    r"""A loss whose hyperparameters an adjuster predicts for each sample (Eq. 8).

    A call in training mode with gradients enabled returns the adjusted loss. A call in evaluation
    mode, ``criterion.eval()``, or with gradients disabled returns the plain loss of the kind, cross
    entropy for classes, so that validation losses can be compared with anybody's.

    .. math:: L(w; \theta) = \frac{\sum_i w_{y_i} \mathcal{L}\bigl(f(x_i; w), y_i;
              h(m(x_i, y_i); \theta)\bigr)}{\sum_i w_{y_i}}

    Use it where ``nn.CrossEntropyLoss`` was: it takes the same outputs and targets, reduces in the
    same way, and moves itself to the device of the outputs. A call in training updates the
    conditioner's memory, if it has one, and moves the snapshots on, if ``total_steps`` is known;
    if not, :meth:`progress` does, and the first training step warns where neither was said.
    Conditioners that remember samples by their ids need a call of :meth:`prepare` before training.

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
        total_steps: how many calls there will be in training, ``len(loader) * epochs``. The number
            of calls made is part of ``state_dict``.

    Raises:
        InputError: the adjuster predicts other hyperparameters than the loss's, or reads another
            number of features than the conditioner's; loss and conditioner are of different kinds;
            an unknown reduction, a weight that is negative or not finite, or a weight or another
            ``ignore_index`` for regression; or ``total_steps`` below 1.

    Example:
        >>> import torch
        >>> import torch.nn.functional as F
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> outputs, labels = torch.randn(8, 10, requires_grad=True), torch.randint(10, (8,))
        >>> criterion(outputs, labels).backward()
        >>> with torch.no_grad():
        ...     torch.equal(criterion(outputs, labels), F.cross_entropy(outputs, labels))
        True
    """

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
        """Return the conventional loss, with the same hyperparameters for every sample (Eq. 6).

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
        check_made("loss", loss, LossFamily)
        adjuster = ConstantAdjuster(loss.hyperparameters, values)
        settings: dict[str, Any] = {"reduction": reduction, "ignore_index": ignore_index}
        return cls(loss, None, adjuster, weight=weight, **settings)

    def forward(
        self,
        outputs: Logits,
        targets: Labels,
        index: Int[Tensor, " *positions"] | None = None,
        *,
        num_items_in_batch: int | Tensor | None = None,
    ) -> Float[Tensor, " *losses"]:
        """Return the loss of a batch, the adjusted one in training and the plain one otherwise.

        Args:
            outputs: logits ``[batch, classes]``; ``[batch, classes, d1, ...]``, of which each
                position is a sample; or ``[classes]``. For regression values ``[batch, values]``.
                Or what holds logits: a mapping with ``"logits"``, an object with ``.logits``.
            targets: int64 or uint8 labels ``[batch]``, ``[batch, d1, ...]`` or ``[]``; or values
                shaped as ``outputs``.
            index: int64 sample ids shaped as the labels, if the conditioner needs them.
            num_items_in_batch: the number of labels in several accumulated batches, by which the
                sum is divided instead; the Trainer of transformers passes it.

        Returns:
            A scalar; with ``reduction="none"`` the losses in the shape of the labels.

        Raises:
            InputError: a wrong shape or dtype; another number of classes than ``num_classes``,
                unless the call is compiled; on the CPU also a label out of range, a value that is
                not finite, or a mean over ignored labels alone. Values on an accelerator are not
                checked, which would synchronize with it.
        """
        samples = self._samples(outputs, targets, index, checked=True)
        settings = self.weight, self.reduction, num_items_in_batch
        if not self._learns:
            return plain(self.loss.kind, samples, *settings)
        return reduced(self._adjusted(samples, track=True).losses, samples, *settings)

    def losses(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, " *losses"]:
        """Return the adjusted loss of each sample, in training as a call of the criterion does.

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
        """Return the adjusted loss and the hyperparameters of each sample.

        Args:
            outputs: logits or values, as for a call.
            targets: labels or values.
            index: the sample ids.
            track: update the memory and count a step too, as a call in training does; faster than
                :meth:`observe` afterwards.

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
        """Return the loss of a call in training, and remember nothing, as a lookahead needs it.

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
        """Return the mean plain loss of the criterion's kind, cross entropy for classes.

        It has the criterion's class weights and ignored labels. The arguments are those of a call.
        """
        samples = self._samples(outputs, targets, None)
        with self._labels_named(samples):
            return plain(self.loss.kind, samples, self.weight, "mean")

    def mean_of(
        self,
        per_sample: Callable[[Tensor, Tensor], Tensor],
        outputs: Logits,
        targets: Labels,
        *,
        weighted: bool = False,
    ) -> Float[Tensor, ""]:
        """Return the mean of another loss, over the samples whose labels are not ignored.

        Args:
            per_sample: maps rows of outputs and targets to the loss of each sample.
            outputs: logits or values, as for a call.
            targets: labels or values.
            weighted: whether to weight samples by the criterion's class weights.
        """
        samples = self._samples(outputs, targets, None)
        with self._labels_named(samples):
            losses = per_sample(samples.outputs, samples.targets)
        return reduced(losses, samples, self.weight if weighted else None, "mean")

    def hparams(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, "*shape hyperparameters"]:
        """Return the hyperparameters of each sample; arguments as for :meth:`per_sample`."""
        samples = self._samples(outputs, targets, index)
        with self._labels_named(samples):
            features = features_of(self.conditioner, samples, detach=self.detach)
        return samples.shaped(predicted(self.adjuster, features))

    def features(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, "*shape features"]:
        """Return the features of each sample; arguments as for :meth:`per_sample`."""
        samples = self._samples(outputs, targets, index)
        with self._labels_named(samples):
            return samples.shaped(features_of(self.conditioner, samples, detach=self.detach))

    def _adjusted(self, samples: Samples, *, track: bool, read: Samples | None = None) -> PerSample:
        """Return the losses and hyperparameters, a row for each sample and without weights."""
        outputs, targets = samples.outputs, samples.targets
        read = samples if read is None else read
        try:
            features = features_of(self.conditioner, read, detach=self.detach, track=track)
            hparams = predicted(self.adjuster, features)
            constant = track and self.detach and not hparams.requires_grad
            losses = self.loss.evaluate(outputs, targets, hparams, constant=constant)
        except (IndexError, RuntimeError):
            self.loss.kind.check_range(outputs, targets)
            raise
        if self.training and outputs.requires_grad:
            self._check_first_step()
        if track:
            self._called(samples)
        return PerSample(losses, hparams)
