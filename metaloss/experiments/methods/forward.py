"""Forward correction by a transition matrix (Patrini et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import InputError, check_in_range, require
from metaloss.experiments.methods.conventional import Conventional
from metaloss.experiments.methods.method import Method
from metaloss.experiments.methods.staged import Conclusion, PreliminaryRun, Staged
from metaloss.losses import CrossEntropy, ForwardCorrected
from metaloss.training.evaluate import evaluating
from metaloss.training.streams import in_order
from metaloss.types import Loader, TaskLike

TRANSITIONS = ("estimated", "true")


@dataclass(frozen=True, kw_only=True)
class Forward(Staged):
    r"""Forward correction: cross entropy of predictions carried through a transition matrix.

    A first network is trained with cross entropy. The matrix is read off its predictions: row
    :math:`i` is the prediction for the training sample that it believes most to be of class
    :math:`i`. A second network is trained with :class:`~metaloss.losses.ForwardCorrected`.

    Args:
        name: the name in tables and folders.
        transition: ``"estimated"``, or ``"true"`` for the matrix that made the noise.
        quantile: where the sample of a class is taken among those that the network believes to be
            of the class, from the least believed to the most, in [0, 1]; 1 for the most believed
            sample, which may be an outlier.

    Raises:
        InputError: another ``transition``, ``quantile`` out of range, or the true matrix of a task
            that does not know it.

    Example:
        >>> from metaloss.experiments import Forward
        >>> [run.name for run in Forward(name="Forward").preliminary]
        ['CE']

    References:
        Patrini et al., Making deep neural networks robust to label noise: a loss correction
        approach, 2017, Eq. 12. There the quantile 0.97 is of all samples, which with a hundred
        classes is a sample of another class; here it is of the class's share of the samples.
    """

    transition: str = "estimated"
    quantile: float = 0.97

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        require(
            self.transition in TRANSITIONS,
            f"transition: expected {' or '.join(TRANSITIONS)}, got {self.transition!r}",
        )
        check_in_range("quantile", self.quantile, 0, 1)

    @property
    def informed(self) -> bool:  # type: ignore[override]
        """Whether it knows the matrix that made the noise."""
        return self.transition == "true"

    @property
    def preliminary(self) -> Sequence[Method]:
        """Cross entropy, unless the true matrix is used."""
        if self.transition == "true":
            return []
        return [Conventional(name="CE", loss=CrossEntropy())]

    def check(self, task: TaskLike) -> None:
        """Raise :class:`~metaloss.InputError` if the true matrix is needed and not known."""
        if self.transition == "true":
            _true_transition(task)

    def conclude(self, task: TaskLike, runs: Sequence[PreliminaryRun]) -> Conclusion:
        """Return cross entropy with the matrix."""
        if self.transition == "true":
            matrix = _true_transition(task)
        else:
            probabilities = _probabilities(runs[0].model, in_order(task.train))
            matrix = estimated_transition(probabilities, self.quantile)
        rows = tuple(tuple(row) for row in matrix.tolist())
        loss = ForwardCorrected(rows)
        return Conclusion(Conventional(name=self.name, loss=loss), {"transition": rows})


def estimated_transition(
    probabilities: Float[Tensor, "samples classes"], quantile: float = 0.97
) -> Float[Tensor, "classes classes"]:
    """Estimate a transition matrix from a network's predictions of noisy labels.

    Args:
        probabilities: the predicted probabilities of the training samples.
        quantile: row ``i`` is the prediction for the sample at this quantile of the probability of
            class ``i``, among as many of the highest as the network believes to be of the class; in
            [0, 1].

    Returns:
        The matrix, float64; its rows sum to 1.

    Example:
        >>> import torch
        >>> from metaloss.experiments.methods.forward import estimated_transition
        >>> estimated_transition(torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]), 1.0)
        tensor([[0.7500, 0.2500],
                [0.2500, 0.7500]], dtype=torch.float64)

    References:
        Patrini et al., 2017, Eq. 12.
    """
    believed = probabilities.double().sum(dim=0)  # the number of samples of each class
    from_the_top = ((1 - quantile) * believed).long().clamp(max=len(probabilities) - 1)
    order = probabilities.argsort(dim=0, descending=True)
    anchors = order.gather(0, from_the_top.unsqueeze(0)).squeeze(0)
    rows = probabilities[anchors].double()
    return rows / rows.sum(dim=1, keepdim=True)


def _true_transition(task: TaskLike) -> Tensor:
    matrix = getattr(getattr(task, "noise", None), "transition", None)
    if not isinstance(matrix, Tensor):
        raise InputError(
            f"transition: expected a task that knows the matrix of its noise, got {task.name}; "
            "estimate it (transition='estimated')"
        )
    return matrix


@torch.no_grad()
def _probabilities(model: nn.Module, loader: Loader) -> Tensor:
    with evaluating(model):
        parts = [model(batch.inputs).float().softmax(dim=1) for batch in loader.epoch(0)]
    return torch.cat(parts).cpu()
