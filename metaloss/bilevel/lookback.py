"""The hypergradient of a clean loss through training steps that have been made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
import torchopt
from torch import Tensor, nn

from metaloss.bilevel.adjoint import Derivatives, pulled_back
from metaloss.bilevel.clipping import Clip
from metaloss.bilevel.difference import Differences
from metaloss.bilevel.mixed import Exact
from metaloss.bilevel.preconditions import as_batch, check_one_process
from metaloss.bilevel.problem import MetaLoss, Problem, Solution, copied, gradient, leaves
from metaloss.bilevel.watch import Watched, Watching, marks, modes
from metaloss.checks import check_at_least, check_in_range, require
from metaloss.objective import AdjustedLoss
from metaloss.randomness import randomness_restored
from metaloss.types import Batch

STRATEGIES: dict[str, type[Derivatives]] = {"mixed": Exact, "difference": Differences}


class Lookback:
    r"""Differentiates a clean loss through the training steps that were just made (Eq. 10, 11).

    A lookahead rehearses a step, moves the adjuster, and then makes the step. Here the real step
    comes first, and *is* the one that is differentiated: its gradient is known, the clean loss's is
    taken at the weights it led to, and one tangent pass at the weights it came from gives the
    hypergradient. The adjuster moves one step later, and a step's worth of work is saved.

    The step is your own code, whatever is in it: accumulation over micro-batches, a scheduler,
    logging. The weights tell whether it moved as the optimizer's rule says; where it did not, for a
    hook or clipping that was not told, the meta step is refused.

    Args:
        steps: K, the real steps to look back over; 1 in the paper.
        meta_loss: from the outputs and targets of the clean batch to a scalar; if not given, the
            mean plain loss of the criterion's kind.
        hold_norm: as for :class:`~metaloss.bilevel.Lookahead`.
        clip: how the steps clip their gradients.
        strategy: ``"mixed"``, which is exact, or ``"difference"``, which asks nothing of the
            network but gradients.

    Raises:
        InputError: fewer than one step, a share out of range, or an unknown strategy.

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
    """

    def __init__(
        self,
        steps: int = 1,
        meta_loss: MetaLoss | None = None,
        hold_norm: float = 0.0,
        *,
        clip: Clip | None = None,
        strategy: str = "mixed",
    ) -> None:
        self.steps = check_at_least("steps", steps, 1)
        self.meta_loss = meta_loss
        self.hold_norm = check_in_range("hold_norm", hold_norm, 0.0, 1.0)
        require(
            clip is None or isinstance(clip, Clip),
            f"clip: expected ClipNorm(...), ClipValue(...) or None, got {clip!r}",
        )
        self.clip = clip
        require(
            strategy in STRATEGIES,
            f"strategy: expected one of {', '.join(STRATEGIES)}, got {strategy!r}",
        )
        self.strategy = strategy
        self._watched: deque[Watched] = deque(maxlen=steps)

    @contextmanager
    def step(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | torchopt.Optimizer,
        criterion: AdjustedLoss,
        batch: Batch | Sequence[Tensor],
        due: bool = True,
    ) -> Iterator[None]:
        """Watch an ordinary training step, which is made inside.

        Args:
            model: any module.
            optimizer: of its parameters.
            criterion: the adjusted loss.
            batch: ``(inputs, targets)`` or ``(inputs, targets, index)`` that it is made with.
            due: whether a hypergradient is wanted after it. With one step to look back over, a step
                that is not due costs nothing; with more, each of them is watched.

        Raises:
            InputError: a batch or an optimizer that cannot be used, or a step that did not move the
                weights as the optimizer's rule says.
        """
        if not due and self.steps == 1:
            self._watched.clear()
            yield
            return
        check_one_process(model)
        if self._watched and not _goes_on(self._watched[-1], model, criterion):
            self._watched.clear()
        watching = Watching(
            model,
            optimizer,
            criterion,
            as_batch("batch", batch),
            clip=self.clip,
            hold_norm=self.hold_norm,
        )
        try:
            with watching.attached():
                yield
            self._watched.append(watching.made())
        except BaseException:
            self._watched.clear()
            raise

    def hypergradient(self, meta_batch: Batch | Sequence[Tensor]) -> dict[str, Tensor]:
        """The gradient of the clean loss in the adjuster's parameters.

        Args:
            meta_batch: clean ``(inputs, targets)``.

        Returns:
            A tensor for each of the adjuster's trainable parameters, by name.

        Raises:
            InputError: no steps that were watched, one after the other; weights, an adjuster or a
                mode that changed since; or a batch or a hypergradient that is not finite.
        """
        batches = {f"step {k}": each.step.batch for k, each in enumerate(self._watched)}
        solution = self.solve(meta_batch)
        solution.check_consistent()
        solution.check_finite({"meta_batch": Batch(*meta_batch), **batches})
        return solution.hypergradient

    def solve(self, meta_batch: Batch | Sequence[Tensor]) -> Solution:
        """The hypergradient and the clean loss that it is of; as :meth:`hypergradient`."""
        clean = as_batch("meta_batch", meta_batch)
        watched = list(self._watched)
        require(
            len(watched) == self.steps,
            f"lookback: expected {self.steps} steps made inside of step(...), one after the other, "
            f"before each hypergradient, got {len(watched)}",
        )
        self._watched.clear()
        last = watched[-1]
        model, criterion = last.model, last.criterion
        params = {name: p for name, p in model.named_parameters() if p.requires_grad}
        _check_same(last, params)
        problem = Problem(
            model=model,
            params=params,
            buffers=dict(model.named_buffers()),
            criterion=criterion,
            theta={n: p for n, p in criterion.adjuster.named_parameters() if p.requires_grad},
            train_batches=[each.step.batch for each in watched],
            meta_batch=clean,
            meta_loss=self.meta_loss or criterion.loss.kind.mean_loss,
        )
        devices = {p.device for p in params.values()}
        with ExitStack() as stack:
            stack.enter_context(randomness_restored(devices))
            stack.enter_context(torch.enable_grad())
            for device in devices:
                stack.enter_context(torch.autocast(device.type, enabled=False))
            ahead = leaves(params)
            meta_loss = problem.clean_loss(ahead, copied(problem.buffers))
            adjoint = gradient(meta_loss, ahead)
            return pulled_back(
                problem,
                STRATEGIES[self.strategy](),
                [each.step for each in watched],
                adjoint,
                meta_loss,
            )


def _goes_on(last: Watched, model: nn.Module, criterion: AdjustedLoss) -> bool:
    """Whether a step of this model begins where the last one ended."""
    if last.model is not model or last.criterion is not criterion:
        return False
    params = dict(model.named_parameters())
    return last.weights == marks({name: params[name] for name in last.weights})


def _check_same(last: Watched, params: dict[str, nn.Parameter]) -> None:
    """Raise an error if something has changed since the last step."""
    changed = [name for name, mark in marks(params).items() if last.weights.get(name) != mark]
    require(
        not changed,
        f"model: expected the weights that the last step led to, but {', '.join(changed[:3])} "
        "changed since",
    )
    theta = marks(dict(last.criterion.adjuster.named_parameters()))
    require(
        theta == last.theta,
        "criterion: expected the adjuster that the step was made with, but it has moved since",
    )
    require(
        modes(last.model) == last.modes,
        "model: expected the mode that the step was made in, training or evaluation, got another",
    )
