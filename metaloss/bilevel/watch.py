"""A real training step, watched: where it began, its gradient, and whether it moved as it should.

A step is the user's own code. What it did is told by the optimizer's hooks and by the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
import torchopt
from torch import Tensor, nn

from metaloss.bilevel.adjoint import Step
from metaloss.bilevel.clipping import Clip
from metaloss.bilevel.optimizers import FunctionalOptimizer, Params, functional
from metaloss.bilevel.problem import copied
from metaloss.checks import InputError, require
from metaloss.objective import AdjustedLoss
from metaloss.randomness import Randomness
from metaloss.types import Batch

Optimizer = torch.optim.Optimizer | torchopt.Optimizer
Mark = tuple[int, int]


class Watched(NamedTuple):
    """A step that has been made.

    Attributes:
        model: whose step it was.
        criterion: that it was made with.
        step: where it began, with its optimizer and gradient.
        modes: of the model's modules, training or not.
        weights: marks of the model's parameters after it.
        theta: marks of the adjuster's parameters.
    """

    model: nn.Module
    criterion: AdjustedLoss
    step: Step
    modes: list[bool]
    weights: dict[str, Mark]
    theta: dict[str, Mark]


class Watching:
    """Takes note of a step while it is made.

    Args:
        model: whose step it is.
        optimizer: that makes it.
        criterion: that it is made with.
        batch: that it is made with.
        clip: how the step clips its gradients.
        hold_norm: as for :class:`~metaloss.bilevel.Lookback`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        criterion: AdjustedLoss,
        batch: Batch,
        *,
        clip: Clip | None = None,
        hold_norm: float = 0.0,
    ) -> None:
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.clip, self.hold_norm = clip, hold_norm
        self.params = {name: p for name, p in model.named_parameters() if p.requires_grad}
        require(len(self.params) > 0, "model: expected a trainable parameter, got none")
        self.before = Step(
            batch,
            {name: p.detach().clone() for name, p in self.params.items()},
            copied(dict(model.named_buffers())),
            Randomness.now({p.device for p in self.params.values()}),
            memory=copied(dict(criterion.named_buffers())),
        )
        self.modes = modes(model)
        self.raw: Params = {}
        self.written: dict[str, int] = {}
        self.steps: list[FunctionalOptimizer] = []
        self.grads: Params = {}

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Look on while the step is made."""
        with ExitStack() as stack:
            for name, p in self.params.items():
                gathered: Any = p.register_post_accumulate_grad_hook  # it has no types
                handle = gathered(self._gathers(name))
                stack.callback(handle.remove)
            stack.enter_context(before_each_step(self.optimizer, self._about_to_step))
            yield

    def made(self) -> Watched:
        """The step, now that it is over.

        Raises:
            InputError: the optimizer made no step, or more than one, or the weights are not where
                its rule leads.
        """
        require(
            len(self.steps) == 1,
            f"lookback: expected one step of the optimizer inside of step(...), got "
            f"{len(self.steps)}; a scaler may have skipped it",
        )
        (optimizer,) = self.steps
        step = self.before._replace(optimizer=optimizer, grads=self.grads)
        check_moved(step, {name: p.detach() for name, p in self.params.items()})
        return Watched(
            model=self.model,
            criterion=self.criterion,
            step=step,
            modes=self.modes,
            weights=marks(self.params),
            theta=marks(dict(self.criterion.adjuster.named_parameters())),
        )

    def _gathers(self, name: str) -> Any:
        def gathered(p: Tensor) -> None:
            assert p.grad is not None
            self.written[name] = p.grad._version
            if self.clip is not None:  # clipping writes over it
                self.raw[name] = p.grad.detach().clone()

        return gathered

    def _about_to_step(self) -> None:
        found = {name: p.grad for name, p in self.params.items() if p.grad is not None}
        for name, g in found.items():
            require(
                self.clip is not None or self.written.get(name, g._version) == g._version,
                f"lookback: expected gradients that nothing changes between backward and step, but "
                f"that of {name} was written; if it was clipped, say so: Lookback(clip=...)",
            )
        self.grads = {name: self.raw.get(name, g).detach().clone() for name, g in found.items()}
        reached = {name: self.params[name] for name in found}
        optimizer = functional(self.optimizer, reached, hold_norm=self.hold_norm, clip=self.clip)
        self.steps.append(optimizer._replace(state=kept_state(optimizer.state)))


def check_moved(step: Step, weights: Params) -> None:
    """Raise an error unless the weights are where the optimizer's rule leads.

    Args:
        step: with its optimizer and gradient.
        weights: after it.

    Raises:
        InputError: something else moved them, too.
    """
    assert step.optimizer is not None
    with torch.no_grad():
        expected, _ = step.optimizer.step(step.params, step.optimizer.state, step.grads)
        elsewhere = torch.stack(
            [
                (after - expected[name]).norm()
                > 1e-3 * (after - step.params[name]).norm()
                + 10 * torch.finfo(after.dtype).eps * after.norm()
                for name, after in weights.items()
            ]
        )
    if bool(elsewhere.any()):
        name = list(weights)[int(elsewhere.int().argmax())]
        raise InputError(
            f"lookback: expected a step that moves {name} as the optimizer's rule says, got "
            "another; a hook changed the gradient, it was clipped (then say Lookback(clip=...)), "
            "or the weights were written besides"
        )


@contextmanager
def before_each_step(optimizer: Optimizer, call: Any) -> Iterator[None]:
    """Call something before each of an optimizer's steps."""
    if isinstance(optimizer, torch.optim.Optimizer):
        handle = optimizer.register_step_pre_hook(lambda *_: call())
        try:
            yield
        finally:
            handle.remove()
        return
    original = optimizer.step

    def step(*args: Any, **kwargs: Any) -> Any:
        call()
        return original(*args, **kwargs)

    optimizer.step = step  # type: ignore[method-assign]
    try:
        yield
    finally:
        del optimizer.step


def kept_state(state: Any) -> Any:
    """A copy of an optimizer's state: its tensors are written to in the step."""
    tree: Any = torchopt.pytree
    return tree.tree_map(lambda t: t.detach().clone() if isinstance(t, Tensor) else t, state)


def marks(tensors: Mapping[str, Tensor]) -> dict[str, Mark]:
    """What changes when a tensor is written to, or another put in its place."""
    return {name: (t.data_ptr(), t._version) for name, t in tensors.items()}


def modes(model: nn.Module) -> list[bool]:
    """Of each module, whether it is in training mode."""
    return [module.training for module in model.modules()]
