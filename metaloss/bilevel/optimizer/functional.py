r"""The live optimizer's step as a pure function.

.. math:: (w', s') = \Phi(w, s, g)

The step is a chain of TorchOpt's gradient transformations, which are small differentiable pure
functions. :mod:`metaloss.bilevel.optimizer.transforms` replaces three of them that are not pure, or
not differentiable at zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torchopt
from torch import Tensor, nn
from torchopt.base import GradientTransformation, UninitializedState

from metaloss.bilevel.network import Params
from metaloss.bilevel.optimizer.clipping import Clip
from metaloss.bilevel.optimizer.torch_rules import TORCH_RULES, ParamStates, State, as_real
from metaloss.checks import InputError, require

_SMALL = 1 << 15  # elements: copies of larger tensors take longer than further operations


class Group(NamedTuple):
    """Parameters that one transformation updates together.

    Attributes:
        names: the names of the parameters.
        transform: the gradient transformation.
        joined: whether the transformation gets the parameters as one long vector instead of one
            tensor each. Elementwise transformations then step many small tensors in a few
            operations.
    """

    names: tuple[str, ...]
    transform: GradientTransformation
    joined: bool = False

    def gather(self, tensors: Params) -> tuple[Tensor, ...]:
        """Return this group's tensors in the form that the transformation takes."""
        mine = tuple(tensors[name] for name in self.names)
        return (flattened(mine),) if self.joined else mine

    def scatter(self, gathered: Sequence[Tensor], like: Params) -> Params:
        """Return the tensors by name; the inverse of :meth:`gather`."""
        if not self.joined:
            return dict(zip(self.names, gathered, strict=True))
        shapes = [as_real(like[name]).shape for name in self.names]
        pieces = torch.split(gathered[0], [shape.numel() for shape in shapes])
        return {
            name: torch.view_as_complex(piece.view(shape))
            if like[name].is_complex()
            else piece.view(shape)
            for name, piece, shape in zip(self.names, pieces, shapes, strict=True)
        }


class FunctionalOptimizer(NamedTuple):
    """An optimizer's step as a pure function of parameters, state and gradients.

    Attributes:
        groups: the groups of parameters with their transformations.
        state: the live optimizer's state, one entry per group.
        hold_norm: the fraction of the derivative through the gradients' norm to leave out.
        clip: how gradients are clipped before the step; not at all if not given.
    """

    groups: tuple[Group, ...]
    state: State
    hold_norm: float = 0.0
    clip: Clip | None = None

    def step(self, params: Params, state: State, grads: Params) -> tuple[Params, State]:
        """Return the parameters and the state after a step, differentiable in all arguments.

        Raises:
            InputError: the gradients are not those of the parameters that the first step reached.
        """
        held = {name for group in self.groups for name in group.names}
        require(
            held == set(grads),
            "lookahead: expected every step's loss to reach the same parameters, but only some "
            f"steps reach {', '.join(sorted(held ^ set(grads)))}; look one step ahead",
        )
        if self.hold_norm:
            grads = _norm_held(grads, self.hold_norm)
        if self.clip is not None:
            grads = self.clip.clipped(grads)
        updated = dict(params)
        new_state = []
        for group, group_state in zip(self.groups, state, strict=True):
            before = group.gather(params)
            updates, after = group.transform.update(
                group.gather(grads), group_state, params=before, inplace=False
            )
            stepped = [p + u for p, u in zip(before, updates, strict=True)]
            updated.update(group.scatter(stepped, params))
            new_state.append(after)
        return updated, tuple(new_state)


def _norm_held(grads: Params, share: float) -> Params:
    """Return the same gradients, with this fraction of the derivative of their norm left out."""
    square = torch.stack([as_real(g).square().sum() for g in grads.values()]).sum()
    norm = square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()  # not differentiable at 0
    one = (norm.detach() / norm) ** float(share)
    return {name: g * one for name, g in grads.items()}


def functional(
    optimizer: torch.optim.Optimizer | torchopt.Optimizer,
    params: Mapping[str, nn.Parameter],
    transform: GradientTransformation | None = None,
    *,
    hold_norm: float = 0.0,
    clip: Clip | None = None,
) -> FunctionalOptimizer:
    """Return the live optimizer's next step as a function, with its state and current settings.

    Args:
        optimizer: ``torch.optim``'s SGD, Adam, AdamW or RMSprop, with any number of parameter
            groups, or a ``torchopt.Optimizer``.
        params: the model's parameters to step, by name.
        transform: a TorchOpt gradient transformation to use instead, with a fresh state.
        hold_norm: the fraction of the derivative through the gradients' norm to leave out.
        clip: how gradients are clipped before the step; not at all if not given.

    Returns:
        The step. It shares the state's tensors with the optimizer and never changes them.

    Raises:
        InputError: the optimizer or one of its settings is not supported, or the optimizer does not
            hold one of the parameters.
    """
    name_of = {id(p): name for name, p in params.items()}
    groups: tuple[Group, ...]
    states: State
    if transform is not None:
        groups = (Group(tuple(params), transform),)
        states = (transform.init(tuple(params.values())),)
    elif isinstance(optimizer, torchopt.Optimizer):
        groups, states = _from_torchopt(optimizer, name_of)
    else:
        groups, states = _from_torch(optimizer, name_of)
    if transform is None:
        _check_all_held(groups, params)
    return FunctionalOptimizer(groups, states, hold_norm, clip)


def check_known(optimizer: object) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the optimizer's rule is known.

    Args:
        optimizer: what was given as one.
    """
    if type(optimizer) in TORCH_RULES or isinstance(optimizer, torchopt.Optimizer):
        return
    got, instead = f"a {type(optimizer).__name__}", ""
    if isinstance(optimizer, torch.optim.Optimizer):
        got = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
        instead = (
            "; pass the optimizer that it wraps: its .optimizer"
            if isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer)
            else "; pass Lookahead(transform=...) to look ahead with a TorchOpt transformation "
            "instead"
        )
    raise InputError(
        f"optimizer: expected torch.optim's {', '.join(known.__name__ for known in TORCH_RULES)} "
        f"or a torchopt.Optimizer, got {got}{instead}"
    )


def _from_torch(
    optimizer: torch.optim.Optimizer, name_of: Mapping[int, str]
) -> tuple[tuple[Group, ...], State]:
    check_known(optimizer)
    build = TORCH_RULES[type(optimizer)]
    groups, states = [], []
    for settings in optimizer.param_groups:
        held = [p for p in settings["params"] if id(p) in name_of]
        for alike in _alike(held, optimizer):
            names = tuple(name_of[id(p)] for p in alike)
            live: ParamStates = [optimizer.state.get(p, {}) for p in alike]
            small = sum(p.numel() for p in alike) < _SMALL * len(alike)
            join = small or alike[0].is_complex()
            if join:
                transform, state = build(settings, [flattened(alike)], [_joined_state(live)])
            else:
                transform, state = build(settings, list(alike), live)
            groups.append(Group(names, transform, joined=join))
            states.append(state)
    return tuple(groups), tuple(states)


def _from_torchopt(
    optimizer: torchopt.Optimizer, name_of: Mapping[int, str]
) -> tuple[tuple[Group, ...], State]:
    groups, states = [], []
    for held, live in zip(optimizer.param_groups, optimizer.state_groups, strict=True):
        require(
            all(id(p) in name_of for p in held),
            "optimizer: expected a torchopt.Optimizer of this model's used parameters alone",
        )
        state = optimizer.impl.init(held) if isinstance(live, UninitializedState) else live
        groups.append(Group(tuple(name_of[id(p)] for p in held), optimizer.impl))
        states.append(state)
    return tuple(groups), tuple(states)


def _check_all_held(groups: Sequence[Group], names: Iterable[str]) -> None:
    held = {name for group in groups for name in group.names}
    missing = [name for name in names if name not in held]
    require(
        not missing,
        "optimizer: expected every trainable parameter of the model, but it does not hold "
        f"{', '.join(missing)}; add them, or freeze them with requires_grad_(False)",
    )


def flattened(tensors: Sequence[Tensor]) -> Tensor:
    """Return the elements of all tensors as one real vector."""
    return torch.cat([as_real(t).reshape(-1) for t in tensors])


def _alike(
    params: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> Iterable[Sequence[Tensor]]:
    """Group the parameters that can be stepped as one: equal step count, dtype, device, state."""
    found: dict[Any, list[Tensor]] = {}
    for p in params:
        live = {k: v for k, v in optimizer.state.get(p, {}).items() if v is not None}
        step = live.get("step", 0)
        if isinstance(step, Tensor):  # reading it from another device would wait
            step = step.item() if step.device.type == "cpu" else id(step)
        found.setdefault((p.dtype, p.device, frozenset(live), step), []).append(p)
    return found.values()


def _joined_state(states: ParamStates) -> Mapping[str, Any]:
    """Join the states of a group's parameters into one state of vectors."""
    return {
        key: value
        if key == "step" or value is None
        else flattened([state[key] for state in states])
        for key, value in states[0].items()
    }
