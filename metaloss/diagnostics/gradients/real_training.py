"""The slope of the meta loss by central differences of real training.

A copy of the model is trained by a copy of its own ``torch.optim`` optimizer, with ``backward`` and
``step``. The slope along a direction in the adjuster's parameters is a central difference of two
such runs, which draw the same random numbers. Nothing of the strategies is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.bilevel.network import Params
from metaloss.conditioners import Conditioner
from metaloss.diagnostics.gradients.subject import Subject
from metaloss.types import Outputs, Targets


class Held(Conditioner):
    """A conditioner that always returns the same features.

    Args:
        features: ``[batch, num_features]``.
    """

    kind = None

    def __init__(self, features: Float[Tensor, "batch features"]) -> None:
        super().__init__()
        self.features = features
        self.num_features = features.shape[1]

    def forward(
        self,
        outputs: Outputs,  # noqa: ARG002
        targets: Targets,  # noqa: ARG002
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch features"]:
        """Return the features."""
        return self.features


def features_on_the_way(subject: Subject) -> list[Tensor] | None:
    """Return the features that the derivative holds fixed, one tensor for each step.

    Args:
        subject: is not changed.

    Returns:
        ``None`` if the derivative holds no features fixed.
    """
    conditioner = subject.criterion.conditioner
    if not subject.criterion.detach or conditioner is None:
        return None
    found = []
    with subject.same_randomness():
        twin = subject.twin()
        assert twin.criterion.conditioner is not None
        twin.criterion.conditioner.register_forward_hook(
            lambda _module, _args, features: found.append(features.detach().clone())
        )
        for batch in twin.train_batches:
            twin.step(batch)
    return found


def loss_after_training(
    subject: Subject, nudge: Params, held: Sequence[Tensor] | None = None
) -> float:
    """Return the meta loss after the real steps.

    Args:
        subject: where to start; it is not changed.
        nudge: is added to the adjuster's parameters, by name.
        held: the features at each step; by default those of the conditioner.
    """
    with subject.same_randomness():
        twin = subject.twin()
        with torch.no_grad():
            for name, theta in twin.criterion.adjuster.named_parameters():
                if name in nudge:
                    theta.add_(nudge[name])
        for k, batch in enumerate(twin.train_batches):
            if held is not None:
                twin.criterion.conditioner = Held(held[k])
            twin.step(batch)
        with torch.no_grad():
            outputs = twin.model(twin.meta_batch.inputs)
            meta_loss = twin.problem().meta_loss
            return float(meta_loss(outputs, twin.meta_batch.targets))


def slope(
    subject: Subject, direction: Params, step: float, held: Sequence[Tensor] | None = None
) -> float:
    """Return the slope of the meta loss after real training.

    Args:
        subject: where to start; it is not changed.
        direction: a direction in the adjuster's parameters, by name.
        step: the step size of the central difference.
        held: the features at each step; by default those of the conditioner.
    """
    ahead, behind = (
        loss_after_training(subject, {n: signed * v for n, v in direction.items()}, held)
        for signed in (step, -step)
    )
    return (ahead - behind) / (2 * step)
