"""The hypergradient of a meta loss through completed training steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torchopt
from torch import Tensor, nn

from metaloss.bilevel.batches import AnyBatch, as_batch, as_batches
from metaloss.bilevel.isolation import isolated
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.bilevel.meta_loss import MetaLossFunction, checked_meta_loss
from metaloss.bilevel.network import copied, trainable
from metaloss.bilevel.optimizer.clipping import Clip
from metaloss.bilevel.problem import Problem, theta_of
from metaloss.bilevel.solution import Solution
from metaloss.bilevel.step import Step
from metaloss.bilevel.strategies.adjoint import through_steps
from metaloss.bilevel.strategies.auto import auto
from metaloss.bilevel.strategies.derivatives import Derivatives
from metaloss.bilevel.strategies.difference import CentralDifferences
from metaloss.bilevel.strategies.double_backward import DoubleBackward
from metaloss.bilevel.strategies.mixed import Mixed
from metaloss.bilevel.watching.watch import Setting, Watching
from metaloss.bilevel.watching.watched import Watched
from metaloss.bilevel.watching.wrapped import unwrapped, unwrapped_optimizer
from metaloss.checks import check_at_least, check_in_range, check_one_of, require
from metaloss.objective import AdjustedLoss
from metaloss.processes import check_same

DERIVATIVES: dict[str, Callable[[], Derivatives]] = {
    "mixed": Mixed,
    "unroll": lambda: DoubleBackward("unroll"),
    "difference": CentralDifferences,
}


class Lookback:
    r"""Differentiates a meta loss through the training steps that were just made (Eq. 10, 11).

    A lookahead rehearses a step, updates the adjuster, and then makes the real step. A lookback
    makes the real step first and differentiates that step. Its gradient is already known. The
    gradient of the meta loss is computed at the weights after the step, and one tangent pass at
    the weights before the step gives the hypergradient. The adjuster is updated one step later, and
    the work of one step is saved.

    The step is your own code. Its loss is the criterion's mean over its batch, and its forward pass
    comes first. It may use autocast, a gradient scaler, accumulation over micro-batches and
    clipping. Each hypergradient checks that the weights moved by the optimizer's update rule, and
    that a second pass gives the outputs and gradients of the step. It raises an error if not.

    Args:
        steps: K, the real steps to look back over; 1 in the paper.
        meta_loss: as for :class:`~metaloss.bilevel.Lookahead`.
        hold_norm: as for :class:`~metaloss.bilevel.Lookahead`.
        clip: how the steps clip their gradients.
        strategy: ``"mixed"``, which is exact and fastest; ``"unroll"``, reverse mode through the
            graph of each step, which is exact too; ``"difference"``, which needs nothing but
            gradients from the network; ``"auto"``, as for :class:`~metaloss.bilevel.Lookahead`.
        keep: MiB of each step's activations to keep until the hypergradient is computed, which
            saves a third of the time of a step. This helps with convolutions and linear layers, in
            mixed mode.
        autocast: as for :class:`~metaloss.bilevel.Lookahead`.

    Raises:
        InputError: fewer than one step, a fraction or a size out of range, a ``clip`` or a meta
            loss that is none, or an unknown strategy.

    Example:
        >>> import torch
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.bilevel import Lookback
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> model = torch.nn.Linear(5, 3)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> x, y = torch.randn(8, 5), torch.randint(3, (8,))
        >>> lookback = Lookback()
        >>> with lookback.step(model, optimizer, criterion, (x, y)):
        ...     optimizer.zero_grad()
        ...     criterion(model(x), y).backward()
        ...     optimizer.step()
        >>> sorted(lookback.hypergradient((x, y)))
        ['net.0.bias', 'net.0.weight', 'net.2.bias', 'net.2.weight']

        For a model that takes its inputs by name, and returns a mapping with ``logits`` as those of
        Hugging Face do, the batch is a dictionary:

        >>> class Named(torch.nn.Linear):
        ...     def forward(self, x):
        ...         return {"logits": super().forward(x)}
        >>> model = Named(5, 3)
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        >>> batch = {"x": x, "labels": y}
        >>> with lookback.step(model, optimizer, criterion, batch):
        ...     optimizer.zero_grad()
        ...     criterion(model(x=x), y).backward()
        ...     optimizer.step()
        >>> len(lookback.hypergradient(batch))
        4
    """

    def __init__(
        self,
        steps: int = 1,
        meta_loss: MetaLossFunction | None = None,
        hold_norm: float = 0.0,
        *,
        clip: Clip | None = None,
        strategy: str = "mixed",
        keep: float = 0.0,
        autocast: bool = False,
    ) -> None:
        self.steps = check_at_least("steps", steps, 1)
        self.meta_loss = checked_meta_loss(meta_loss)
        self.hold_norm = check_in_range("hold_norm", hold_norm, 0.0, 1.0)
        require(
            clip is None or isinstance(clip, Clip),
            f"clip: expected ClipNorm(...), ClipValue(...) or None, got {clip!r}",
        )
        check_one_of("strategy", strategy, STRATEGIES)
        self.keep = check_in_range("keep", keep, 0.0)
        require(isinstance(autocast, bool), f"autocast: expected True or False, got {autocast!r}")
        self.clip, self.strategy, self.autocast = clip, strategy, autocast
        self._watched: deque[Watched] = deque(maxlen=self.steps)
        self._used = False

    @property
    def watched(self) -> int:
        """The number of consecutive steps watched so far, at most K."""
        return len(self._watched)

    def forget(self) -> None:
        """Forget the steps watched so far."""
        self._watched.clear()
        self._used = False

    @contextmanager
    def step(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | torchopt.Optimizer,
        criterion: AdjustedLoss,
        batch: AnyBatch | Sequence[AnyBatch],
        due: bool = True,
        *,
        scaler: torch.amp.GradScaler | None = None,
        may_skip: bool = False,
    ) -> Iterator[None]:
        """Watch the ordinary training step made inside the ``with`` block.

        Args:
            model: any module.
            optimizer: the optimizer of the model's parameters.
            criterion: the adjusted loss.
            batch: the batch of the step, in a form that :class:`~metaloss.bilevel.Lookahead` takes
                too: ``(inputs, targets)``, ``(inputs, targets, index)`` or a dictionary with
                ``"labels"``; or a list of batches, if the step accumulates the mean of their
                losses, each divided by their number. The forward pass has to come before anything
                else that draws random numbers.
            due: whether a hypergradient is wanted after the step. With ``steps=1``, a step that is
                not due costs nothing; with more, every step is watched and ``due`` is ignored.
            scaler: the gradient scaler that the step uses, if any. A step that it skips is not
                watched: :attr:`watched` is 0 after it.
            may_skip: whether your code may leave out the step, which is then not watched either.

        Raises:
            InputError: the batch, the model or the optimizer is not supported, or the optimizer
                makes no step or several steps.
        """
        if not due and self.steps == 1:
            self.forget()
            yield
            return
        model, optimizer = unwrapped(model), unwrapped_optimizer(optimizer)
        if self._watched and not self._watched[-1].leads_to(model, optimizer, criterion):
            self.forget()
        setting = Setting(
            model=model,
            optimizer=optimizer,
            criterion=criterion,
            clip=self.clip,
            hold_norm=self.hold_norm,
            keep=self.keep * 2**20,
            scaler=scaler,
            may_skip=may_skip,
        )
        watching = Watching(setting, as_batches("batch", batch))
        try:
            with watching.attached():
                yield
            made = watching.made()
            if made is None:
                self.forget()
            else:
                self._watched.append(made)
                self._used = False
        except BaseException:
            self.forget()
            raise

    def hypergradient(self, meta_batch: AnyBatch) -> dict[str, Tensor]:
        """Compute the gradient of the meta loss in the adjuster's parameters.

        If the adjuster changed between the steps, the result is the sum of the derivatives in theta
        at each step, each taken at the step's own theta.

        Args:
            meta_batch: clean ``(inputs, targets)``, or a dictionary with ``"labels"``.

        Returns:
            A tensor for each of the adjuster's trainable parameters, by name.

        Raises:
            InputError: too few consecutive steps were watched; the weights, the adjuster or a mode
                changed since; a step did not follow the optimizer's update rule; or a batch or the
                hypergradient is not finite.
        """
        batches = {
            f"step {k}" if len(each.step.batches) == 1 else f"step {k}, batch {i}": batch
            for k, each in enumerate(self._watched)
            for i, batch in enumerate(each.step.batches)
        }
        solution = self.solve(meta_batch)
        solution.check_consistent()
        solution.check_finite({"meta_batch": as_batch("meta_batch", meta_batch), **batches})
        return solution.hypergradient

    def solve(self, meta_batch: AnyBatch) -> Solution:
        """Do as :meth:`hypergradient`, without checks of the result; return the meta loss too."""
        clean = as_batch("meta_batch", meta_batch)
        found = 0 if self._used else len(self._watched)
        require(found > 0, "lookback: expected a new step inside of step(..., due=True), got none")
        require(
            found == self.steps,
            f"lookback: expected {self.steps} steps in a row inside of step(...), got {found}",
        )
        steps = self._steps()
        self._used = True
        model, criterion = self._watched[-1].model, self._watched[-1].criterion
        check_same("criterion", theta_of(criterion))
        if self.steps == 1:
            self.forget()
        problem = Problem.of(model, criterion, clean, self.meta_loss, autocast=self.autocast)
        with isolated({p.device for p in steps[-1].after.values()}):
            if self.strategy != "auto":
                return _solved(problem, steps, DERIVATIVES[self.strategy]())
            return auto(
                model,
                lambda: _solved(problem, steps, DERIVATIVES["mixed"]()),
                lambda: _solved(problem, steps, DERIVATIVES["unroll"]()),
            )

    def _steps(self) -> list[Step]:
        """Return the steps, each with the weights after it."""
        last = self._watched[-1]
        params = trainable(last.model, besides=theta_of(last.criterion))
        last.check_unchanged()
        steps = [each.step for each in self._watched]
        groups = [[g.names for g in step.optimizer.groups] for step in steps if step.optimizer]
        require(
            all(each == groups[-1] for each in groups),
            "lookback: expected steps that all reach the same parameters, with a state of the "
            "optimizer or without; look back over one step",
        )
        landed = [*(step.params for step in steps[1:]), {n: p.detach() for n, p in params.items()}]
        return [step._replace(after=after) for step, after in zip(steps, landed, strict=True)]


def _solved(problem: Problem, steps: Sequence[Step], derivatives: Derivatives) -> Solution:
    buffers = copied(dict(problem.model.named_buffers()))
    return through_steps(problem, derivatives, steps, steps[-1].after, buffers)
