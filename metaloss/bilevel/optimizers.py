r"""The optimizer's step as a pure function, taken over from the live optimizer.

.. math:: (w', s') = \Phi(w, s, g)

TorchOpt's gradient transformations supply it: chains of small pure functions whose steps can be
differentiated. Three of its habits are mended here. Its momentum remembers in a closure whether it
has been called, which is no function of the state, so :func:`heavy_ball` keeps that in the state.
Its RMSprop, and its Adam unless ``eps_root`` is positive, differentiate a square root at 0 where a
gradient is exactly zero, and give NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torchopt
from torch import Tensor, nn
from torchopt.base import GradientTransformation
from torchopt.transform import add_decayed_weights, scale, scale_by_adam

from metaloss.checks import InputError, require

# Under the square root of a second moment: too small to change a step, enough to differentiate it.
EPS_ROOT = 1e-30

Params = dict[str, Tensor]
State = tuple[Any, ...]


class Group(NamedTuple):
    """Parameters that one transformation updates together."""

    names: tuple[str, ...]
    transform: GradientTransformation


class FunctionalOptimizer(NamedTuple):
    """An optimizer's step as a pure function of parameters, state and gradients.

    Attributes:
        groups: which transformation updates which parameters.
        state: the live optimizer's state, one entry a group.
    """

    groups: tuple[Group, ...]
    state: State

    def step(self, params: Params, state: State, grads: Params) -> tuple[Params, State]:
        """One step: differentiable in all three arguments, none of which it changes."""
        updated = dict(params)
        new_state = []
        for group, group_state in zip(self.groups, state, strict=True):
            before = tuple(params[name] for name in group.names)
            updates, after = group.transform.update(
                tuple(grads[name] for name in group.names),
                group_state,
                params=before,
                inplace=False,
            )
            updated.update(
                (name, p + u) for name, p, u in zip(group.names, before, updates, strict=True)
            )
            new_state.append(after)
        return updated, tuple(new_state)


def functional(
    optimizer: torch.optim.Optimizer | torchopt.Optimizer,
    params: Mapping[str, nn.Parameter],
    transform: GradientTransformation | None = None,
) -> FunctionalOptimizer:
    """The live optimizer's next step as a function, with its state and current settings.

    Args:
        optimizer: ``torch.optim``'s SGD, Adam, AdamW or RMSprop, with any number of parameter
            groups, or a ``torchopt.Optimizer``.
        params: the model's parameters to be stepped, by name.
        transform: a TorchOpt gradient transformation to use instead, with a fresh state.

    Returns:
        The step. It shares the state's tensors with the optimizer and never changes them.

    Raises:
        InputError: an optimizer or a setting that is not known here, or a parameter that the
            optimizer does not hold.
    """
    name_of = {id(p): name for name, p in params.items()}
    if transform is not None:
        group = Group(tuple(params), transform)
        return FunctionalOptimizer((group,), (transform.init(tuple(params.values())),))
    if isinstance(optimizer, torchopt.Optimizer):
        return _from_torchopt(optimizer, name_of)
    build = _BUILDERS.get(type(optimizer))
    if build is None:
        raise InputError(
            "optimizer: expected torch.optim's "
            f"{', '.join(known.__name__ for known in _BUILDERS)} or a torchopt.Optimizer, "
            f"got {type(optimizer).__module__}.{type(optimizer).__qualname__}; pass "
            "Lookahead(transform=...) to look ahead with a TorchOpt transformation instead"
        )
    groups, states = [], []
    for settings in optimizer.param_groups:
        held = [p for p in settings["params"] if id(p) in name_of]
        if not held:
            continue
        transform, state = build(settings, held, [optimizer.state.get(p, {}) for p in held])
        groups.append(Group(tuple(name_of[id(p)] for p in held), transform))
        states.append(state)
    _check_all_held(groups, params)
    return FunctionalOptimizer(tuple(groups), tuple(states))


def _from_torchopt(
    optimizer: torchopt.Optimizer, name_of: Mapping[int, str]
) -> FunctionalOptimizer:
    groups, states = [], []
    for held, live in zip(optimizer.param_groups, optimizer.state_groups, strict=True):
        require(
            all(id(p) in name_of for p in held),
            "optimizer: expected a torchopt.Optimizer of this model's used parameters alone",
        )
        state = optimizer.impl.init(held) if isinstance(live, _UNINITIALIZED) else live
        groups.append(Group(tuple(name_of[id(p)] for p in held), optimizer.impl))
        states.append(state)
    _check_all_held(groups, {name: None for name in name_of.values()})
    return FunctionalOptimizer(tuple(groups), tuple(states))


_UNINITIALIZED = torchopt.base.UninitializedState


def _check_all_held(groups: Sequence[Group], params: Mapping[str, object]) -> None:
    held = {name for group in groups for name in group.names}
    missing = [name for name in params if name not in held]
    require(
        not missing,
        "optimizer: expected every trainable parameter of the model, but it does not hold "
        f"{', '.join(missing)}; add them, or freeze them with requires_grad_(False)",
    )


Settings = Mapping[str, Any]
ParamStates = Sequence[Mapping[str, Any]]


def _sgd(settings: Settings, params: Sequence[Tensor], states: ParamStates) -> tuple[Any, State]:
    transforms = [*_sign_and_decay(settings)]
    if settings["momentum"]:
        transforms.append(
            heavy_ball(settings["momentum"], settings["dampening"], settings["nesterov"])
        )
    transform, state = _chain(transforms, settings, params)
    return transform, _replaced(state, HeavyBallState, _buffers("momentum_buffer", params, states))


def _adam(settings: Settings, params: Sequence[Tensor], states: ParamStates) -> tuple[Any, State]:
    require(
        not settings["amsgrad"],
        "optimizer: expected Adam or AdamW without amsgrad, whose maximum has no useful derivative",
    )
    b1, b2 = (float(b) for b in settings["betas"])
    moments = scale_by_adam(b1=b1, b2=b2, eps=settings["eps"], eps_root=EPS_ROOT)
    if settings["decoupled_weight_decay"]:
        decay = _decay(settings)
        transforms = [*_sign(settings), moments, *decay]
    else:
        transforms = [*_sign_and_decay(settings), moments]
    transform, state = _chain(transforms, settings, params)
    if not any(states):
        return transform, state
    live = {
        "mu": _tensors("exp_avg", params, states),
        "nu": _tensors("exp_avg_sq", params, states),
        "count": tuple(torch.as_tensor(s.get("step", 0)).long() for s in states),
    }
    return transform, _replaced(state, type(moments.init(tuple(params))), live)


def _rmsprop(
    settings: Settings, params: Sequence[Tensor], states: ParamStates
) -> tuple[Any, State]:
    transforms = [
        *_sign_and_decay(settings),
        root_mean_square(settings["alpha"], settings["eps"], settings["centered"]),
    ]
    if settings["momentum"]:
        transforms.append(heavy_ball(settings["momentum"]))
    transform, state = _chain(transforms, settings, params)
    live = {
        "square": _tensors("square_avg", params, states),
        "mean": _tensors("grad_avg", params, states),
    }
    state = _replaced(state, RootMeanSquareState, live)
    return transform, _replaced(state, HeavyBallState, _buffers("momentum_buffer", params, states))


_BUILDERS: dict[type, Callable[[Settings, Sequence[Tensor], ParamStates], tuple[Any, State]]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adam,
    torch.optim.RMSprop: _rmsprop,
}


def _chain(
    transforms: Sequence[GradientTransformation], settings: Settings, params: Sequence[Tensor]
) -> tuple[GradientTransformation, State]:
    """The chain with the learning rate at its end, and its fresh state."""
    chained = torchopt.chain(*transforms, scale(-float(settings["lr"])))
    return chained, chained.init(tuple(params))


def _sign(settings: Settings) -> list[GradientTransformation]:
    return [scale(-1.0)] if settings["maximize"] else []


def _decay(settings: Settings) -> list[GradientTransformation]:
    decay = settings["weight_decay"]
    return [add_decayed_weights(float(decay))] if decay else []


def _sign_and_decay(settings: Settings) -> list[GradientTransformation]:
    return [*_sign(settings), *_decay(settings)]


def _tensors(key: str, params: Sequence[Tensor], states: ParamStates) -> tuple[Tensor, ...]:
    """The live moment of each parameter; zeros where it has none yet."""
    return tuple(
        s[key] if s.get(key) is not None else torch.zeros_like(p)
        for p, s in zip(params, states, strict=True)
    )


def _buffers(key: str, params: Sequence[Tensor], states: ParamStates) -> dict[str, Any]:
    started = tuple(s.get(key) is not None for s in states)
    return {"buffers": _tensors(key, params, states), "started": started}


def _replaced(state: State, kind: type, live: Mapping[str, Any]) -> State:
    """The chain's state with the live optimizer's values in the part of this kind, if it has one."""
    return tuple(part._replace(**live) if isinstance(part, kind) else part for part in state)


class HeavyBallState(NamedTuple):
    """Momentum buffers, and which of them have been filled."""

    buffers: tuple[Tensor, ...]
    started: tuple[bool, ...]


def heavy_ball(
    momentum: float, dampening: float = 0.0, nesterov: bool = False
) -> GradientTransformation:
    """``torch.optim.SGD``'s momentum, as a transformation that is a function of its state alone.

    A buffer's first value is the gradient itself, undampened, as it is in ``torch.optim``.

    Example:
        >>> import torch
        >>> ball = heavy_ball(0.9)
        >>> params = gradient = (torch.ones(1),)
        >>> state = ball.init(params)
        >>> for _ in range(2):
        ...     update, state = ball.update(gradient, state, params=params, inplace=False)
        >>> update[0]
        tensor([1.9000])
    """

    def init(params: Sequence[Tensor]) -> HeavyBallState:
        return HeavyBallState(
            tuple(torch.zeros_like(p) for p in params), tuple(False for _ in params)
        )

    def update(
        updates: Sequence[Tensor],
        state: HeavyBallState,
        *,
        params: object = None,  # noqa: ARG001 - TorchOpt's signature
        inplace: bool = False,  # noqa: ARG001
    ) -> tuple[tuple[Tensor, ...], HeavyBallState]:
        buffers = tuple(
            momentum * b + (1 - dampening) * g if started else g
            for g, b, started in zip(updates, state.buffers, state.started, strict=True)
        )
        new_state = HeavyBallState(buffers, tuple(True for _ in buffers))
        if nesterov:
            return tuple(g + momentum * b for g, b in zip(updates, buffers, strict=True)), new_state
        return buffers, new_state

    return GradientTransformation(init, update)


class RootMeanSquareState(NamedTuple):
    """Averages of squared gradients and of gradients."""

    square: tuple[Tensor, ...]
    mean: tuple[Tensor, ...]


def root_mean_square(
    alpha: float = 0.99, eps: float = 1e-8, centered: bool = False
) -> GradientTransformation:
    """``torch.optim.RMSprop``'s rescaling, differentiable where a gradient is exactly zero.

    Example:
        >>> import torch
        >>> rms = root_mean_square(alpha=0.0)
        >>> gradient = (torch.tensor([3.0]),)
        >>> update, _ = rms.update(gradient, rms.init(gradient), inplace=False)
        >>> update[0]
        tensor([1.])
    """

    def init(params: Sequence[Tensor]) -> RootMeanSquareState:
        zeros = tuple(torch.zeros_like(p) for p in params)
        return RootMeanSquareState(zeros, zeros)

    def update(
        updates: Sequence[Tensor],
        state: RootMeanSquareState,
        *,
        params: object = None,  # noqa: ARG001 - TorchOpt's signature
        inplace: bool = False,  # noqa: ARG001
    ) -> tuple[tuple[Tensor, ...], RootMeanSquareState]:
        square = tuple(
            alpha * s + (1 - alpha) * g * g for g, s in zip(updates, state.square, strict=True)
        )
        mean = state.mean
        variance = square
        if centered:
            mean = tuple(
                alpha * m + (1 - alpha) * g for g, m in zip(updates, state.mean, strict=True)
            )
            # Rounding can take a variance of zero below it.
            variance = tuple((s - m * m).clamp_min(0) for s, m in zip(square, mean, strict=True))
        rescaled = tuple(
            g / ((v + EPS_ROOT).sqrt() + eps) for g, v in zip(updates, variance, strict=True)
        )
        return rescaled, RootMeanSquareState(square, mean)

    return GradientTransformation(init, update)
