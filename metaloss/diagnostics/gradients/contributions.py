"""A layer's part of a hypergradient: by forward mode, double backward and differences."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.network import Params, copied, gradient, leaves
from metaloss.bilevel.optimizer.update import update_vjp
from metaloss.bilevel.problem import Problem, Rehearsal
from metaloss.bilevel.step import Step
from metaloss.bilevel.strategies.derivatives import ThetaGrads, slope_in_outputs, theta_grads
from metaloss.bilevel.strategies.difference import moved, scale_of
from metaloss.bilevel.strategies.mixed import jvp
from metaloss.checks import InputError


def first_step(problem: Problem, rehearsal: Rehearsal) -> tuple[Step, Params]:
    """Return the first step, and the direction u.

    The direction is the meta loss's gradient, pulled back through the optimizer's update.
    """
    buffers = copied(rehearsal.buffers)
    params: Params = {name: p.detach() for name, p in rehearsal.params.items()}
    step = Step(rehearsal.steps[0], params, copied(buffers), rehearsal.randomness())
    inner = leaves(params)
    outputs = problem.outputs(inner, buffers, step.batches)
    grads = gradient(problem.training_loss(outputs, step.batches), inner)
    optimizer = rehearsal.make_optimizer(tuple(grads))
    with torch.no_grad():
        after, _ = optimizer.step(params, optimizer.state, grads)
    ahead = leaves(after)
    adjoint = gradient(problem.meta_loss_at(ahead, buffers), ahead)
    return step, update_vjp(optimizer, params, grads, adjoint, [], first=True).grads


def by_module(model: nn.Module, direction: Params) -> dict[str, list[str]]:
    """Return the names of the parameters that move, by the module that holds them."""
    groups: dict[str, list[str]] = {}
    for name in (name for name, _ in model.named_parameters() if name in direction):
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    return groups


def _gradient(problem: Problem, step: Step, params: Params, create_graph: bool = False) -> Params:
    with kernels_with_rules():
        outputs = step.outputs_at(problem, params)
    loss = problem.training_loss(outputs, step.batches)
    return gradient(loss, params, create_graph=create_graph)


def by_backward(
    problem: Problem, step: Step, groups: Mapping[str, list[str]], direction: Params
) -> dict[str, ThetaGrads | None]:
    """Return each layer's part by double backward; ``None`` where it is not available."""
    theta = list(problem.theta.values())
    grads = _gradient(problem, step, leaves(step.params), create_graph=True)
    found: dict[str, ThetaGrads | None] = {}
    for layer, names in groups.items():
        slope = torch.stack([(grads[n] * direction[n]).sum() for n in names if n in grads]).sum()
        try:
            found[layer] = (
                torch.autograd.grad(slope, theta, retain_graph=True, allow_unused=True)
                if slope.requires_grad
                else [None for _ in theta]
            )
        except RuntimeError:
            found[layer] = None
    return found


def by_forward_mode(problem: Problem, step: Step, direction: Params) -> ThetaGrads | None:
    """Return a layer's part by a tangent of the logits; ``None`` without a forward-mode rule."""
    try:
        outputs, tangent = jvp(problem, step, direction)
    except (InputError, RuntimeError):
        return None
    return theta_grads(problem, slope_in_outputs(problem, step.batches, outputs), tangent)


def by_differences(problem: Problem, step: Step, direction: Params) -> ThetaGrads:
    """Return a layer's part by central differences of the logits."""
    scale = scale_of(step.params, direction)
    with torch.no_grad(), kernels_with_rules():
        here, ahead, behind = (
            step.outputs_at(problem, moved(step.params, direction, side))
            for side in (0 * scale, scale, -scale)
        )
    slope = slope_in_outputs(problem, step.batches, here)
    return theta_grads(problem, slope, (ahead - behind) / (2 * scale))


def hessian_errors(
    problem: Problem, step: Step, groups: Mapping[str, list[str]], direction: Params
) -> dict[str, float]:
    """Compare each layer's part of the Hessian product with central differences of the gradient."""
    params = leaves(step.params)
    grads = _gradient(problem, step, params, create_graph=True)
    try:
        product = torch.autograd.grad(
            list(grads.values()),
            list(params.values()),
            [direction[name] for name in grads],
            allow_unused=True,
        )
    except RuntimeError:
        return {}
    scale = scale_of(step.params, direction)
    ahead, behind = (
        _gradient(problem, step, leaves(moved(step.params, direction, side)))
        for side in (scale, -scale)
    )
    found = dict(zip(params, product, strict=True))
    expected = {n: (a - behind[n]) / (2 * scale) for n, a in ahead.items() if n in behind}
    longest = max(map(length, ([*found.values()], [*expected.values()])))
    return {
        layer: apart([found[n] for n in names], [expected.get(n) for n in names], longest) or 0.0
        for layer, names in groups.items()
    }


def length(part: ThetaGrads | None) -> float:
    """Return the norm of a part."""
    squares = [float(t.detach().pow(2).sum()) for t in part or [] if t is not None]
    return float(sum(squares) ** 0.5)


def apart(one: ThetaGrads | None, other: ThetaGrads | None, scale: float) -> float | None:
    """Return the norm of the difference over ``scale``; ``None`` if a part is missing."""
    if one is None or other is None:
        return None
    gaps: list[Tensor | None] = []
    for a, b in zip(one, other, strict=True):
        if a is None or b is None:
            gaps.append(b if a is None else a)
        else:
            gaps.append(a - b)
    return length(gaps) / scale if scale else 0.0
