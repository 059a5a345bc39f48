"""The update rules of ``torch.optim`` as TorchOpt transformations with the live state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torchopt
from torch import Tensor
from torchopt.base import GradientTransformation
from torchopt.transform import add_decayed_weights, scale

from metaloss.bilevel.optimizer.transforms import (
    AdaptiveMomentsState,
    HeavyBallState,
    RootMeanSquareState,
    adaptive_moments,
    heavy_ball,
    root_mean_square,
)
from metaloss.checks import require

State = tuple[Any, ...]
Settings = Mapping[str, Any]
ParamStates = Sequence[Mapping[str, Any]]


def as_real(tensor: Tensor) -> Tensor:
    """View complex numbers as pairs of real ones, which ``torch.optim`` steps separately."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


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
    moments = adaptive_moments(b1, b2, settings["eps"])
    if settings["decoupled_weight_decay"]:
        decay = _decay(settings)
        transforms = [*_sign(settings), moments, *decay]
    else:
        transforms = [*_sign_and_decay(settings), moments]
    transform, state = _chain(transforms, settings, params)
    live = {
        "mean": _tensors("exp_avg", params, states),
        "square": _tensors("exp_avg_sq", params, states),
        "steps": tuple(torch.as_tensor(s.get("step", 0)).long() for s in states),
    }
    return transform, _replaced(state, AdaptiveMomentsState, live)


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


TORCH_RULES: dict[type, Callable[[Settings, Sequence[Tensor], ParamStates], tuple[Any, State]]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adam,
    torch.optim.RMSprop: _rmsprop,
}


def _chain(
    transforms: Sequence[GradientTransformation], settings: Settings, params: Sequence[Tensor]
) -> tuple[GradientTransformation, State]:
    """Return the chain, with the learning rate at its end, and its fresh state."""
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
    """Return the live moment of each parameter; zeros if it has none yet."""
    return tuple(
        s[key] if s.get(key) is not None else torch.zeros_like(p)
        for p, s in zip(params, states, strict=True)
    )


def _buffers(key: str, params: Sequence[Tensor], states: ParamStates) -> dict[str, Any]:
    started = tuple(s.get(key) is not None for s in states)
    return {"buffers": _tensors(key, params, states), "started": started}


def _replaced(state: State, kind: type[Any], live: Mapping[str, Any]) -> State:
    """Return the chain's state with the live values in its entries of this kind, if any."""
    return tuple(part._replace(**live) if isinstance(part, kind) else part for part in state)
