r"""Each layer's part of the hypergradient of one step, found in three ways.

:math:`\theta` acts on the weights through the gradient, so the hypergradient of one step is a sum
over layers,

.. math:: \bar\theta = \sum_l \frac{\partial}{\partial\theta} \langle \nabla_{w_l} L, u_l \rangle
          = \sum_l \frac{\partial}{\partial\theta} \Bigl\langle \frac{\partial L}{\partial z},
          \frac{\partial z}{\partial w_l} u_l \Bigr\rangle .

The left one is differentiated twice backward, as ``unroll`` does. The right one takes a tangent of
the logits along :math:`u` restricted to the layer: by forward mode, as ``mixed`` does, or by a
central difference of the logits, which asks nothing of any derivative of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.bilevel.adjoint import Derivatives, Found, Step, slope_in_outputs, theta_part
from metaloss.bilevel.difference import Differences
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.mixed import Exact
from metaloss.bilevel.optimizers import Params
from metaloss.bilevel.problem import Problem, copied, gradient, leaves
from metaloss.bilevel.update import through_update
from metaloss.checks import InputError
from metaloss.diagnostics.gradients.subject import Subject


@dataclass(frozen=True)
class Layer:
    """A module with parameters of its own, and how far apart its parts of the hypergradient are.

    Attributes:
        name: the module's.
        kind: its class.
        order: its place in the forward pass.
        share: the length of its part; this and what follows in the length of the longest part.
        forward_backward: difference of forward mode and double backward; ``None`` where one of
            them has no rule, as in what follows.
        forward_differences: of forward mode and central differences.
        backward_differences: of double backward and central differences.
    """

    name: str
    kind: str
    order: int
    share: float
    forward_backward: float | None
    forward_differences: float | None
    backward_differences: float | None

    @property
    def label(self) -> str:
        """What to call it."""
        return f"{self.name} ({self.kind})" if self.name else f"the model itself ({self.kind})"

    @property
    def furthest(self) -> float:
        """The largest of the differences."""
        errors = (self.forward_backward, self.forward_differences, self.backward_differences)
        return max((error for error in errors if error is not None), default=0.0)

    def differs(self, exact: float, approximate: float) -> bool:
        """Whether any two of the three are further apart than is due to rounding.

        Args:
            exact: the most that forward mode and double backward may differ.
            approximate: the most that central differences may differ from either.
        """
        found = [
            (self.forward_backward, exact),
            (self.forward_differences, approximate),
            (self.backward_differences, approximate),
        ]
        return any(error is not None and not error <= most for error, most in found)


def layer_parts(subject: Subject) -> list[Layer]:
    """The layers of the first step that the loss reaches, in the order of the forward pass."""
    problem = subject.problem()
    with subject.same_randomness(), torch.enable_grad():
        step, direction = _first_step(problem)
        groups = _groups(subject.model, direction)
        order = _order(problem, step, groups)
        backward = _by_backward(problem, step, groups, direction)
        parts = [
            (
                _by_tangents(problem, step, _only(direction, names), Exact),
                backward[name],
                _by_tangents(problem, step, _only(direction, names), Differences),
            )
            for name, names in groups.items()
        ]
    lengths = [max(_length(part) for part in three) for three in parts]
    longest = max(lengths)
    found = []
    for name, three, length in zip(groups, parts, lengths, strict=True):
        forward, twice, differences = three
        found.append(
            Layer(
                name=name,
                kind=type(subject.model.get_submodule(name)).__name__,
                order=order[name],
                share=length / longest if longest else 0.0,
                forward_backward=_apart(forward, twice, longest),
                forward_differences=_apart(forward, differences, longest),
                backward_differences=_apart(twice, differences, longest),
            )
        )
    return sorted(found, key=lambda layer: layer.order)


def _first_step(problem: Problem) -> tuple[Step, Params]:
    """The first step, and the direction u that the adjoint takes through the optimizer's update."""
    buffers = copied(problem.buffers)
    params: Params = {name: p.detach() for name, p in problem.params.items()}
    step = Step(problem.train_batches[0], params, copied(buffers), problem.randomness())
    grads = Differences().gradient(problem, step, buffers)
    assert problem.make_optimizer is not None
    optimizer = problem.make_optimizer(tuple(grads))
    with torch.no_grad():
        after, _ = optimizer.step(params, optimizer.state, grads)
    ahead = leaves(after)
    adjoint = gradient(problem.clean_loss(ahead, buffers), ahead)
    through = through_update(optimizer, params, optimizer.state, grads, adjoint, [])
    return step, through.grads


def _groups(model: nn.Module, direction: Params) -> dict[str, list[str]]:
    """Parameter names by the module that holds them."""
    groups: dict[str, list[str]] = {}
    for name in (name for name, _ in model.named_parameters() if name in direction):
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    return groups


def _only(direction: Params, names: Sequence[str]) -> Params:
    return {name: direction[name] for name in names}


def _order(problem: Problem, step: Step, names: Iterable[str]) -> dict[str, int]:
    """When each module is first called; of one that is not called itself, when its parent is."""
    seen: dict[str, int] = {}

    def note(name: str) -> Callable[..., None]:
        def noting(*_: object) -> None:
            seen.setdefault(name, len(seen))

        return noting

    hooks = [m.register_forward_pre_hook(note(n)) for n, m in problem.model.named_modules()]
    try:
        step.randomness.restore()
        with torch.no_grad():
            problem.outputs(step.params, copied(step.buffers), step.batch.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    order = {}
    for name in names:
        called = name
        while called and called not in seen:
            called = called.rpartition(".")[0]
        order[name] = seen.get(called, 0)
    return order


def _by_backward(
    problem: Problem, step: Step, groups: dict[str, list[str]], direction: Params
) -> dict[str, Found | None]:
    """Each layer's part by double backward; ``None`` where it cannot be had."""
    step.randomness.restore()
    params, theta = leaves(step.params), list(problem.theta.values())
    with kernels_with_rules():
        outputs = problem.outputs(params, copied(step.buffers), step.batch.inputs)
    loss = problem.adjusted_loss(outputs, step.batch)
    grads = gradient(loss, params, create_graph=True)
    found: dict[str, Found | None] = {}
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


def _by_tangents(
    problem: Problem, step: Step, direction: Params, how: type[Derivatives]
) -> Found | None:
    """A layer's part by a tangent of the logits; ``None`` where it cannot be had."""
    derivatives = how()
    try:
        step.randomness.restore()
        grads = derivatives.first_gradient(problem, step, copied(step.buffers))
        pushed = derivatives.push(problem, step._replace(grads=grads), direction)
        slope = slope_in_outputs(problem, step.batch, pushed.outputs)
        return theta_part(problem, slope, pushed.tangent)
    except (InputError, RuntimeError):
        return None


def _length(part: Found | None) -> float:
    squares = [float(t.detach().pow(2).sum()) for t in part or [] if t is not None]
    return float(sum(squares) ** 0.5)


def _apart(one: Found | None, other: Found | None, scale: float) -> float | None:
    if one is None or other is None:
        return None
    gaps: list[Tensor | None] = []
    for a, b in zip(one, other, strict=True):
        if a is None or b is None:
            gaps.append(b if a is None else a)
        else:
            gaps.append(a - b)
    return _length(gaps) / scale if scale else 0.0
