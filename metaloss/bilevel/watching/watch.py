"""Watches a real training step: records its starting point, its gradient and its result.

The step is the user's own code. Hooks on the parameters and the optimizer observe it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
import torchopt
from torch import Tensor, nn

from metaloss.bilevel.network import Params, copied, trainable
from metaloss.bilevel.optimizer.clipping import Clip
from metaloss.bilevel.optimizer.functional import (
    FunctionalOptimizer,
    check_known,
    functional,
)
from metaloss.bilevel.preconditions import check_leaves_alone, check_model
from metaloss.bilevel.problem import Batches, theta_of
from metaloss.bilevel.step import Step
from metaloss.bilevel.tangent import Activations
from metaloss.bilevel.watching.criterion_calls import CriterionCalls
from metaloss.bilevel.watching.marks import Optimizer, marks, modes, state_marks
from metaloss.bilevel.watching.watched import Watched
from metaloss.checks import check_made, require
from metaloss.objective import AdjustedLoss
from metaloss.processes import mean_over, together
from metaloss.randomness import Randomness


class Setting(NamedTuple):
    """How the steps are made: settings of a lookback, and the arguments of its ``step``.

    The activations to ``keep`` are counted in bytes.
    """

    model: nn.Module
    optimizer: Optimizer
    criterion: AdjustedLoss
    clip: Clip | None
    hold_norm: float
    keep: float
    scaler: torch.amp.GradScaler | None
    may_skip: bool


class Watching:
    """Watches one step while it is made.

    Raises:
        InputError: a model with hooks on gradients, or without trainable parameters; an unknown
            optimizer, or one that steps the adjuster too; or a criterion of another class.
    """

    def __init__(self, setting: Setting, batches: Batches) -> None:
        self.setting = setting
        model, criterion = setting.model, setting.criterion
        check_made("criterion", criterion, AdjustedLoss)
        check_known(setting.optimizer)
        check_leaves_alone(setting.optimizer, theta_of(criterion))
        check_model(model)
        self.params = trainable(model, besides=theta_of(criterion))
        before = copied(self.params)
        self.activations: Activations | None = None
        if setting.keep:
            self.activations = Activations(self.params, before, setting.keep)
        self.before = Step(
            batches,
            before,
            copied(dict(model.named_buffers())),
            Randomness.now({p.device for p in self.params.values()}),
            memory=copied(dict(criterion.named_buffers())),
            theta=copied(theta_of(criterion)),
            calls=criterion.steps.done,
            activations=self.activations,
        )
        self.modes = modes(model)
        self.raw: Params = {}
        self.written: dict[str, int] = {}
        self.steps: list[tuple[FunctionalOptimizer, Params]] = []
        self.calls = CriterionCalls()
        self.scale = 1.0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Attach the hooks inside the ``with`` block."""
        with ExitStack() as stack:
            for name, p in self.params.items():
                register: Any = p.register_post_accumulate_grad_hook  # it has no types
                stack.callback(register(self._accumulated(name)).remove)
            stack.enter_context(_before_each_step(self.setting.optimizer, self._about_to_step))
            stack.enter_context(self.calls.recorded(self.setting.criterion))
            if self.activations is not None:
                stack.enter_context(self.activations.recorded())
            yield

    def made(self) -> Watched | None:
        """Return the completed step; ``None`` if it was skipped, and may be.

        Raises:
            InputError: the optimizer made no step, or more than one, or the criterion was called
                with something else than the step's batches.
        """
        if not self.steps and (self.setting.may_skip or self.setting.scaler is not None):
            return None
        require(
            len(self.steps) == 1,
            f"lookback: expected one step of the optimizer inside of step(...), got "
            f"{len(self.steps)}; if a gradient scaler may skip it, pass step(..., scaler=...), if "
            "your own code may, step(..., may_skip=True)",
        )
        if self.activations is not None:
            self.activations.trim()
        self.calls.check(self.before.batches)
        ((optimizer, grads),) = self.steps
        criterion = self.setting.criterion
        return Watched(
            model=self.setting.model,
            criterion=criterion,
            step=self.before._replace(
                optimizer=optimizer,
                grads=grads,
                outputs=self.calls.outputs,
                slopes=self.calls.slopes(self.scale),
            ),
            modes=self.modes,
            optimizer=self.setting.optimizer,
            state=state_marks(self.setting.optimizer),
            weights=marks(self.params),
            theta=marks(theta_of(criterion)),
        )

    @property
    def _overwritten(self) -> bool:
        """Whether the step may overwrite gradients after backward: it clips, or removes a scale."""
        return self.setting.clip is not None or self.setting.scaler is not None

    def _accumulated(self, name: str) -> Callable[[Tensor], None]:
        def accumulated(p: Tensor) -> None:
            assert p.grad is not None
            self.written[name] = p.grad._version
            if self._overwritten:
                self.raw[name] = p.grad.detach().clone()

        return accumulated

    def _raw_of(self, name: str, g: Tensor) -> Tensor:
        """Return a gradient as backward left it.

        Raises:
            InputError: backward left none inside of the block, and it is not 0.
        """
        if name in self.raw:
            return self.raw[name]
        require(  # 0 before clipping and scaling is 0 after them; not every loss reaches every head
            not g.any(),
            "lookback: expected gradients by backward() inside of step(...), because clipping and "
            f"scaling overwrite them, got another one of {name}; call optimizer.zero_grad() before "
            "backward",
        )
        return g.detach().clone()

    def _about_to_step(self) -> None:
        """Keep the gradients and the optimizer's state, because the step overwrites them."""
        clip, scaler = self.setting.clip, self.setting.scaler
        if scaler is not None and getattr(self.setting.optimizer, "found_inf", None):
            return  # a fused optimizer is called, and skips the step by itself
        found = {name: p.grad for name, p in self.params.items() if p.grad is not None}
        require(
            len(found) > 0,
            "lookback: expected gradients of the model's parameters at the optimizer's step, got "
            "none; call backward before it",
        )
        for name, g in found.items():  # together, data parallelism writes the mean over processes
            require(
                self._overwritten or together() or self.written.get(name, g._version) == g._version,
                f"lookback: expected gradients that nothing changes between backward and step, but "
                f"that of {name} was written; if it was clipped, pass Lookback(clip=...); if it "
                "was scaled, pass step(..., scaler=...)",
            )
        self.scale = 1.0 if scaler is None else scaler.get_scale()
        if self._overwritten:
            own = [self._raw_of(name, g) / self.scale for name, g in found.items()]
            grads = dict(zip(found, mean_over(own), strict=True))
        else:
            grads = {name: g.detach().clone() for name, g in found.items()}
        reached = {name: self.params[name] for name in found}
        optimizer = functional(
            self.setting.optimizer, reached, hold_norm=self.setting.hold_norm, clip=clip
        )
        self.steps.append((optimizer._replace(state=_kept_state(optimizer.state)), grads))


@contextmanager
def _before_each_step(optimizer: Optimizer, call: Callable[[], None]) -> Iterator[None]:
    if isinstance(optimizer, torch.optim.Optimizer):

        def hook(_: object, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
            own, *others = arguments
            closures = [each for each in (*others, named.get("closure")) if callable(each)]
            if not closures:
                call()
                return None
            # It may compute the gradients. The step would call it first, and so it is called here.
            with torch.enable_grad():
                loss = closures[0]()
            call()
            return (own, lambda: loss), {k: v for k, v in named.items() if k != "closure"}

        handle = optimizer.register_step_pre_hook(hook)
        try:
            yield
        finally:
            handle.remove()
        return
    original = optimizer.step  # TorchOpt's optimizers have no hooks

    def step(closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        call()
        original()
        return loss

    optimizer.step = step  # type: ignore[method-assign]
    try:
        yield
    finally:
        del optimizer.step


def _kept_state(state: Any) -> Any:
    tree: Any = torchopt.pytree
    return tree.tree_map(lambda t: t.detach().clone() if isinstance(t, Tensor) else t, state)
