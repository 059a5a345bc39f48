"""The hypergradient of a clean loss through a lookahead, from a live model and optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from weakref import WeakSet

import torch
import torchopt
from torch import Tensor, nn
from torchopt.base import GradientTransformation

from metaloss.arguments import check_arguments
from metaloss.bilevel.clipping import Clip
from metaloss.bilevel.difference import difference
from metaloss.bilevel.mixed import mixed
from metaloss.bilevel.optimizers import functional
from metaloss.bilevel.preconditions import (
    as_batch,
    check_model,
    check_no_step_hooks,
    inference_mode_refused,
)
from metaloss.bilevel.problem import MetaLoss, Problem, Solution, copied, put_back
from metaloss.bilevel.rules import NoTangentError
from metaloss.bilevel.unroll import unroll
from metaloss.checks import InputError, check_at_least, check_in_range, require
from metaloss.objective import AdjustedLoss
from metaloss.randomness import randomness_restored
from metaloss.types import Batch

STRATEGIES: dict[str, Callable[[Problem], Solution]] = {
    "mixed": mixed,
    "unroll": unroll,
    "difference": difference,
}


@dataclass(frozen=True)
class Lookahead:
    r"""Looks K training steps ahead and differentiates a clean loss there (Eq. 10, 11).

    .. math:: \frac{d}{d\theta} L_{meta}\bigl(w_K(\theta)\bigr), \qquad
              w_{k+1} = \Phi\bigl(w_k, \nabla_w L(w_k; \theta)\bigr)

    :math:`\Phi` is the live optimizer's own step, with its current state and settings. The model,
    its buffers, the optimizer, every ``.grad`` and the random number generators are left as they
    were.

    Args:
        steps: K, the training steps to look ahead; 1 in the paper.
        strategy: ``"mixed"``, adjoint steps with a forward-mode pass at the first, at nearly
            first-order cost, or ``"unroll"``, reverse mode through the unrolled steps, which are
            exact; ``"difference"``, adjoint steps with central differences, which is not, and asks
            nothing of the network but gradients; ``"auto"``, mixed, or unroll with a warning where
            an operation has no forward-mode rule.
        meta_loss: from the outputs and targets of the clean batch to a scalar; if not given, the
            mean plain loss of the criterion's kind: cross entropy, or half the squared error.
        transform: a TorchOpt gradient transformation to look ahead with, its state fresh, instead
            of the live optimizer's step. TorchOpt's own momentum remembers in a closure that it has
            been called: with dampening, use ``metaloss.bilevel.transforms.heavy_ball``.
        keep: MiB of layers' outputs that ``"mixed"`` may keep while it passes the clean batch,
            instead of computing them again.
        hold_norm: the share, from 0 to 1, of the derivative through the length of each step's
            gradient that is left out. With 1 the length is held fixed, and the hypergradient says
            where a step should go and not how far, which is the learning rate's business: seen one
            step ahead, a larger loss is a longer step, and an adjuster can learn little else than
            to make it large. With a little less it still minds that there is a step at all.
        clip: how the training steps clip their gradients, :class:`~metaloss.bilevel.ClipNorm` or
            :class:`~metaloss.bilevel.ClipValue`; not at all if not given. It is differentiated
            exactly. A loop of your own clips as ever, or by ``clip.clip_(model.parameters())``.

    Raises:
        InputError: fewer than one step, an unknown strategy, a negative size, or another ``clip``.

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
    meta_loss: MetaLoss | None = None
    transform: GradientTransformation | None = None
    keep: float = 48.0
    hold_norm: float = 0.0
    clip: Clip | None = None
    # Models in which "auto" has found an operation that "mixed" has no rule for.
    _unrolled: WeakSet[nn.Module] = field(
        default_factory=WeakSet, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_at_least("steps", self.steps, 1)
        check_in_range("hold_norm", self.hold_norm, 0.0, 1.0)
        require(
            self.strategy in {*STRATEGIES, "auto"},
            f"strategy: expected one of {', '.join(STRATEGIES)} or auto, got {self.strategy!r}",
        )
        check_in_range("keep", self.keep, 0.0, float("inf"))
        check_arguments(self)

    def hypergradient(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | torchopt.Optimizer,
        criterion: AdjustedLoss,
        train_batches: Sequence[Batch | Sequence[Tensor]],
        meta_batch: Batch | Sequence[Tensor],
    ) -> dict[str, Tensor]:
        """The gradient of the clean loss in the adjuster's parameters.

        Args:
            model: any module; in the mode (train or eval) that the lookahead shall use.
            optimizer: the live optimizer of the model's parameters.
            criterion: the adjusted loss.
            train_batches: K batches ``(inputs, targets)`` or ``(inputs, targets, index)``.
            meta_batch: clean ``(inputs, targets)``.

        Returns:
            A tensor for each of the adjuster's trainable parameters, by name.

        Raises:
            InputError: not K batches, no adjuster parameter to learn, an optimizer, a hook or a
                model that cannot be looked ahead with, or a batch, a loss or a hypergradient that
                is not finite.
        """
        solution = self.solve(model, optimizer, criterion, train_batches, meta_batch)
        solution.check_consistent()
        named = {f"train_batches[{k}]": Batch(*b) for k, b in enumerate(train_batches)}
        solution.check_finite({"meta_batch": Batch(*meta_batch), **named})
        return solution.hypergradient

    def solve(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | torchopt.Optimizer,
        criterion: AdjustedLoss,
        train_batches: Sequence[Batch | Sequence[Tensor]],
        meta_batch: Batch | Sequence[Tensor],
        *,
        share: bool = False,
    ) -> Solution:
        """The hypergradient and the clean loss that it is of.

        Args:
            model: as for :meth:`hypergradient`, as the four that follow.
            optimizer: the live optimizer.
            criterion: the adjusted loss.
            train_batches: K batches.
            meta_batch: a clean one.
            share: make one forward pass of the first batch the ordinary step's too: its outputs
                come with the solution, and buffers and random numbers are as after that pass.

        Raises:
            InputError: as for :meth:`hypergradient`.
        """
        require(
            not (train_batches and isinstance(train_batches[0], Tensor)),
            "train_batches: expected a sequence of batches, got a single one; put it in a list",
        )
        require(
            len(train_batches) == self.steps,
            f"train_batches: expected one for each of {self.steps} steps, got {len(train_batches)}",
        )
        batches = [as_batch(f"train_batches[{k}]", b) for k, b in enumerate(train_batches)]
        clean = as_batch("meta_batch", meta_batch)
        check_model(model)
        check_no_step_hooks(optimizer)
        params = {name: p for name, p in model.named_parameters() if p.requires_grad}
        require(len(params) > 0, "model: expected a trainable parameter, got none")
        problem = Problem(
            model=model,
            params=params,
            buffers=dict(model.named_buffers()),
            criterion=criterion,
            theta=_theta(criterion),
            train_batches=batches,
            meta_batch=clean,
            meta_loss=self.clean_loss(criterion),
            make_optimizer=lambda reached: functional(
                optimizer,
                {name: params[name] for name in reached},
                self.transform,
                hold_norm=self.hold_norm,
                clip=self.clip,
            ),
            share=share,
            budget=self.keep * 2**20,
        )
        devices = {p.device for p in params.values()}
        before = copied(problem.buffers) if share else {}
        with ExitStack() as stack:
            stack.enter_context(randomness_restored(devices))
            stack.enter_context(torch.enable_grad())
            for device in devices:  # half precision has no place in differences and tangents
                stack.enter_context(torch.autocast(device.type, enabled=False))
            try:
                with inference_mode_refused():
                    solution = self._solved(problem)
            except BaseException:
                if share:
                    put_back(problem.buffers, before)
                raise
        if solution.shared is not None:
            solution.shared.randomness.restore()
        return solution

    def clean_loss(self, criterion: AdjustedLoss) -> MetaLoss:
        """What clean batches are judged by."""
        return self.meta_loss or criterion.loss.kind.mean_loss

    def _solved(self, problem: Problem) -> Solution:
        if self.strategy != "auto":
            return STRATEGIES[self.strategy](problem)
        if problem.model not in self._unrolled:
            try:
                return mixed(problem)
            except NoTangentError as error:
                self._unrolled.add(problem.model)
                warnings.warn(f"falling back to 'unroll': {error}", RuntimeWarning, stacklevel=4)
        return unroll(problem)


def _theta(criterion: AdjustedLoss) -> dict[str, nn.Parameter]:
    theta = {n: p for n, p in criterion.adjuster.named_parameters() if p.requires_grad}
    if not theta:
        raise InputError(
            f"criterion: expected an adjuster with parameters to learn, got "
            f"{type(criterion.adjuster).__name__}, which has none"
        )
    return theta
