"""The hypergradient of a meta loss through a lookahead, from a live model and optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torchopt
from torch import Tensor, nn
from torchopt.base import GradientTransformation

from metaloss.arguments import check_arguments
from metaloss.bilevel.batches import AnyBatch, as_batch
from metaloss.bilevel.isolation import isolated
from metaloss.bilevel.meta_loss import MetaLossFunction, checked_meta_loss
from metaloss.bilevel.network import trainable
from metaloss.bilevel.optimizer.clipping import Clip
from metaloss.bilevel.optimizer.functional import functional
from metaloss.bilevel.preconditions import check_leaves_alone, check_model, check_no_step_hooks
from metaloss.bilevel.problem import Problem, Rehearsal, theta_of
from metaloss.bilevel.solution import Solution
from metaloss.bilevel.strategies.adjoint import by_adjoints
from metaloss.bilevel.strategies.auto import auto
from metaloss.bilevel.strategies.difference import CentralDifferences
from metaloss.bilevel.strategies.mixed import Mixed
from metaloss.bilevel.strategies.unroll import unroll
from metaloss.bilevel.watching.wrapped import unwrapped, unwrapped_optimizer
from metaloss.checks import check_at_least, check_in_range, check_one_of, require
from metaloss.objective import AdjustedLoss
from metaloss.processes import check_same
from metaloss.types import Batch

STRATEGIES: dict[str, Callable[[Problem, Rehearsal], Solution]] = {
    "mixed": lambda problem, rehearsal: by_adjoints(problem, rehearsal, Mixed()),
    "unroll": unroll,
    "difference": lambda problem, rehearsal: by_adjoints(problem, rehearsal, CentralDifferences()),
    "auto": lambda problem, rehearsal: auto(
        problem.model,
        lambda: by_adjoints(problem, rehearsal, Mixed()),
        lambda: unroll(problem, rehearsal),
    ),
}


@dataclass(frozen=True)
class Lookahead:
    r"""Looks K training steps ahead and differentiates a meta loss there (Eq. 10, 11).

    .. math:: \frac{d}{d\theta} L_{meta}\bigl(w_K(\theta)\bigr), \qquad
              w_{k+1} = \Phi\bigl(w_k, \nabla_w L(w_k; \theta)\bigr)

    :math:`\Phi` is the live optimizer's own step, with its current state and settings. The model,
    its buffers, the optimizer, every ``.grad`` and the random number generators are left as they
    were.

    Args:
        steps: K, the training steps to look ahead; 1 in the paper.
        strategy: how the hypergradient is computed. ``"mixed"`` is the adjoint method with a
            forward-mode pass at the first step; it is exact, at nearly first-order cost.
            ``"unroll"`` is reverse mode through the unrolled steps; it is exact too.
            ``"difference"`` is the adjoint method with central differences; it is approximate, and
            needs nothing but gradients from the network. ``"auto"`` is mixed, and unroll with a
            warning if an operation has no forward-mode rule.
        meta_loss: a :mod:`meta loss <metaloss.meta_losses>`, or a function that maps the outputs
            and targets of the meta batch to a scalar. If not given, the mean plain loss of the
            criterion's kind: cross entropy, or half the squared error. If nobody checked the labels
            of the meta batch, use a symmetric one such as :class:`~metaloss.meta_losses.MAE`.
        transform: a TorchOpt gradient transformation to look ahead with, from a fresh state,
            instead of the live optimizer's step. TorchOpt's own momentum remembers in a closure
            whether it has been called: with dampening, use
            ``metaloss.bilevel.optimizer.transforms.heavy_ball``.
        hold_norm: the fraction, from 0 to 1, of the derivative through the norm of each step's
            gradient to leave out. With 1 the norm is held fixed: the hypergradient then concerns
            the direction of a step but not its length, which the learning rate sets. With 0 and one
            step, a larger loss means a longer step, and an adjuster may learn little except to
            enlarge the loss. A value slightly below 1 keeps a small incentive to take a step.
        clip: how the training steps clip their gradients, :class:`~metaloss.bilevel.ClipNorm` or
            :class:`~metaloss.bilevel.ClipValue`; not at all if not given. It is differentiated
            exactly. Your own loop clips as before, or by ``clip.clip_(model.parameters())``.
        autocast: run the network's passes of the meta step under bfloat16 autocast. Losses, inner
            products, sums and the optimizer's step keep the precision of the parameters.

    Raises:
        InputError: fewer than one step, an unknown strategy, a fraction out of range, or a ``clip``
            of another type.

    Example:
        >>> import torch
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.bilevel import Lookahead
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> model = torch.nn.Linear(5, 3)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> batch = torch.randn(8, 5), torch.randint(3, (8,))
        >>> grads = Lookahead().hypergradient(model, optimizer, criterion, [batch], batch)
        >>> sorted(grads)
        ['net.0.bias', 'net.0.weight', 'net.2.bias', 'net.2.weight']
    """

    steps: int = 1
    strategy: str = "mixed"
    meta_loss: MetaLossFunction | None = None
    transform: GradientTransformation | None = None
    hold_norm: float = 0.0
    clip: Clip | None = None
    autocast: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        check_at_least("steps", self.steps, 1)
        check_in_range("hold_norm", self.hold_norm, 0.0, 1.0)
        check_one_of("strategy", self.strategy, STRATEGIES)
        check_arguments(self)
        checked_meta_loss(self.meta_loss)

    def hypergradient(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | torchopt.Optimizer,
        criterion: AdjustedLoss,
        train_batches: Sequence[AnyBatch],
        meta_batch: AnyBatch,
    ) -> dict[str, Tensor]:
        """Compute the gradient of the meta loss in the adjuster's parameters.

        Args:
            model: any module, in the mode (training or evaluation) to use for the lookahead.
            optimizer: the live optimizer of the model's parameters.
            criterion: the adjusted loss.
            train_batches: K batches ``(inputs, targets)`` or ``(inputs, targets, index)``. The
                inputs may be a dictionary, whose entries the model is called with as keyword
                arguments. Or the whole batch is one, with the targets under ``"labels"`` and the
                samples' positions, if they are needed, under ``"index"``.
            meta_batch: a clean batch, likewise.

        Returns:
            A tensor for each of the adjuster's trainable parameters, by name.

        Raises:
            InputError: the number of batches is not K; the adjuster has no parameter to learn, or
                the optimizer steps it too; the optimizer, a hook or the model is not supported; or
                a batch, a loss or the hypergradient is not finite.
        """
        solution = self.solve(model, optimizer, criterion, train_batches, meta_batch)
        solution.check_consistent()
        given = {"meta_batch": meta_batch}
        given |= {f"train_batches[{k}]": batch for k, batch in enumerate(train_batches)}
        solution.check_finite({name: as_batch(name, batch) for name, batch in given.items()})
        return solution.hypergradient

    def solve(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | torchopt.Optimizer,
        criterion: AdjustedLoss,
        train_batches: Sequence[AnyBatch],
        meta_batch: AnyBatch,
    ) -> Solution:
        """Compute the hypergradient and the meta loss, without checks of the result.

        The arguments are those of :meth:`hypergradient`.
        """
        require(
            isinstance(train_batches, Mapping | Sequence),
            "train_batches: expected a list of batches, one for each step, got a "
            f"{type(train_batches).__name__}",
        )
        require(
            not isinstance(train_batches, Mapping)
            and not (train_batches and isinstance(train_batches[0], Tensor)),
            "train_batches: expected a sequence of batches, got a single one; put it in a list",
        )
        require(
            len(train_batches) == self.steps,
            f"train_batches: expected one for each of {self.steps} steps, got {len(train_batches)}",
        )
        batches = [as_batch(f"train_batches[{k}]", b) for k, b in enumerate(train_batches)]
        clean = as_batch("meta_batch", meta_batch)
        model, optimizer = unwrapped(model), unwrapped_optimizer(optimizer)
        check_model(model)
        check_no_step_hooks(optimizer)
        check_leaves_alone(optimizer, theta_of(criterion))
        check_same("criterion", theta_of(criterion))
        rehearsal = rehearsal_of(self, model, optimizer, batches)
        problem = Problem.of(model, criterion, clean, self.meta_loss, autocast=self.autocast)
        with isolated({p.device for p in rehearsal.params.values()}):
            return STRATEGIES[self.strategy](problem, rehearsal)


def rehearsal_of(
    lookahead: Lookahead,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | torchopt.Optimizer,
    batches: Sequence[Batch],
) -> Rehearsal:
    """Return the steps on these batches that a lookahead rehearses.

    Raises:
        InputError: the model has no trainable parameter.
    """
    params = trainable(model)
    return Rehearsal(
        params=dict(params),
        buffers=dict(model.named_buffers()),
        steps=[(batch,) for batch in batches],
        make_optimizer=lambda reached: functional(
            optimizer,
            {name: params[name] for name in reached},
            lookahead.transform,
            hold_norm=lookahead.hold_norm,
            clip=lookahead.clip,
        ),
    )
