r"""Which module has a wrong derivative: each one alone, on the inputs that the model gives it.

Move all weights a little along one direction, forth and back: every module's inputs and outputs
move, and what they move by are their true tangents :math:`\dot x` and :math:`\dot z`, on the paths
that the model really takes (a random direction in the inputs would leave the kinks that they sit
on). Against :math:`\dot z` are held, with a direction :math:`v` in the outputs and the module's
weights counted among its inputs,

- forward mode: :math:`J \dot x`;
- backward: :math:`\langle J^\top v, \dot x \rangle` against :math:`\langle v, \dot z \rangle`;
- backward twice: the derivative of :math:`\langle J^\top v, \dot x \rangle` in :math:`v`;
- the second derivative: that of :math:`\langle J^\top v, \dot x \rangle` along :math:`\dot x`,
  against what it changes by between the two ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from metaloss.bilevel.adjoint import Step
from metaloss.bilevel.difference import moved, scale_of
from metaloss.bilevel.kept import Keeping, Kept
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.mixed import Exact
from metaloss.bilevel.optimizers import Params
from metaloss.bilevel.problem import Buffers, Problem, copied
from metaloss.checks import InputError
from metaloss.diagnostics.gradients.calls import Call, is_floating, one_tensor, recorded
from metaloss.diagnostics.gradients.subject import Subject
from metaloss.randomness import Randomness

INSIGNIFICANT = 1e-3
"""A tangent is compared in its own length, or in this much of the outputs'."""


class Fault(NamedTuple):
    """A module whose derivative is not that of what it computes.

    Attributes:
        name: the module's; empty for the model itself.
        kind: its class.
        wrong: which of its derivatives, by how much: from ``"forward mode"``, ``"backward"``,
            ``"backward twice"`` and ``"second derivative"`` to a relative error.
    """

    name: str
    kind: str
    wrong: dict[str, float]

    @property
    def words(self) -> str:
        """What is wrong, in a line."""
        errors = ", ".join(f"{what} by {error:.1e}" for what, error in self.wrong.items())
        where = f"{self.name} ({self.kind})" if self.name else f"the model itself ({self.kind})"
        if "forward mode" not in self.wrong:
            return f"{where}: off are {errors}"
        if "backward" not in self.wrong:
            return f"{where}: its forward-mode rule is wrong; off are {errors}"
        return (
            f"{where}: neither forward mode nor backward is the derivative of what it computes "
            f"(it detaches something, or is not differentiable there); off are {errors}"
        )


def faults(subject: Subject, tolerance: float) -> list[Fault]:
    """The innermost modules with a wrong derivative, in the order in which they are called.

    Args:
        subject: whose model it is.
        tolerance: how large a relative error central differences may make.
    """
    with subject.same_randomness(), torch.enable_grad():
        torch.manual_seed(0)
        start = subject.problem().randomness()
        found = _innermost(_wrong(subject, start, tolerance))
        if not found:
            return []
        # A kink between the two ends can look like an error; hardly twice in the same module.
        again = {fault.name: fault.wrong for fault in _wrong(subject, start, tolerance)}
    confirmed = [
        fault._replace(wrong={w: e for w, e in fault.wrong.items() if w in again[fault.name]})
        for fault in found
        if fault.name in again
    ]
    return [fault for fault in confirmed if fault.wrong]


def _wrong(subject: Subject, start: Randomness, tolerance: float) -> list[Fault]:
    """All modules with a wrong derivative along one direction, the inner before the outer."""
    problem = subject.problem()
    params: Params = {name: p.detach() for name, p in problem.params.items()}
    direction = {name: torch.randn_like(p) * _spread(p) for name, p in params.items()}
    scale = scale_of(params, direction)
    passes = [
        recorded(problem, start, moved(params, direction, signed))
        for signed in (0 * scale, scale, -scale)
    ]
    along = {id(problem.params[name]): v for name, v in direction.items()}
    second = len(subject.train_batches) > 1  # one step has no use for it
    found = []
    for name in passes[0]:
        module = subject.model.get_submodule(name)
        own = {n: along[id(p)] for n, p in module.named_parameters() if id(p) in along}
        wrong: dict[str, float] = {}
        for three in zip(*(each.get(name, []) for each in passes), strict=False):
            for what, error in _errors(problem, module, three, own, scale).items():
                if not error <= tolerance and (second or what != "second derivative"):
                    wrong[what] = max(error, wrong.get(what, 0.0))
        if wrong:
            found.append(Fault(name, type(module).__name__, wrong))
    return found


def _innermost(found: list[Fault]) -> list[Fault]:
    """Without those that another one is a part of."""
    names = [fault.name for fault in found]
    return [
        fault
        for fault in found
        if not any(
            other != fault.name and other.startswith(f"{fault.name}." if fault.name else "")
            for other in names
        )
    ]


def _spread(p: Tensor) -> Tensor:
    """The size of a parameter's elements; biases and the like that are zero still move."""
    return p.square().mean().sqrt().clamp_min(0.01)


class _Alone(nn.Module):
    """A module on the inputs that it was given, which are parameters here."""

    def __init__(self, module: nn.Module, inputs: Any) -> None:
        super().__init__()
        self.module = module
        self.leaves, self.spec = tree_flatten(inputs)
        self.inputs = nn.ParameterDict(
            {str(i): t for i, t in enumerate(self.leaves) if is_floating(t)}
        )

    def forward(self, _: Tensor) -> Tensor:
        # Cloned, as what works in place may not work on a leaf.
        given = [
            self.inputs[str(i)].clone() if is_floating(leaf) else leaf
            for i, leaf in enumerate(self.leaves)
        ]
        args, kwargs = tree_unflatten(given, self.spec)
        return one_tensor(self.module(*args, **kwargs))


class _Pulled(NamedTuple):
    """A direction in a module's outputs pulled back, along one in its inputs and weights.

    Attributes:
        slope: the inner product of the two.
        length: of what was pulled back.
        outputs: the direction in the outputs.
        leaves: inputs and weights.
    """

    slope: Tensor
    length: Tensor
    outputs: Tensor
    leaves: Params


def _errors(
    problem: Problem,
    module: nn.Module,
    calls: Sequence[Call],
    own: Params,
    scale: Tensor,
) -> dict[str, float]:
    """The relative errors of a module's derivatives at one call; of those that can be had."""
    call, ahead, behind = calls
    truth = (ahead.output - behind.output) / (2 * scale)
    if call.output.numel() == 0:
        return {}
    direction = {f"module.{name}": v for name, v in own.items()}
    inputs = zip(*(tree_flatten(c.inputs)[0] for c in calls), strict=True)
    for i, (leaf, a, b) in enumerate(inputs):
        if is_floating(leaf):
            direction[f"inputs.{i}"] = (a - b) / (2 * scale)
    if not direction:
        return {}
    least = INSIGNIFICANT * call.output.norm()  # what moves by less is lost in rounding errors
    errors: dict[str, float] = {}
    found = _pushed(problem, module, call, direction)
    if found is not None:
        errors["forward mode"] = _relative(found, truth, least)
    outputs = _unit(truth) + _unit(torch.randn_like(truth))
    try:
        pulled, *ends = (_pull_back(module, c, direction, outputs) for c in calls)
    except RuntimeError:
        return errors
    length = outputs.norm() * torch.maximum(truth.norm(), least)
    errors["backward"] = _relative(pulled.slope, (outputs * truth).sum(), length)
    try:
        errors["backward twice"] = _relative(
            _gradient(pulled.slope, [pulled.outputs])[0], truth, least
        )
        turned = _gradient(pulled.slope, list(pulled.leaves.values()))
    except RuntimeError:
        return errors
    moving = torch.stack([v.square().sum() for v in direction.values()]).sum().sqrt()
    errors["second derivative"] = _relative(
        _inner(dict(zip(pulled.leaves, turned, strict=True)), direction),
        (ends[0].slope - ends[1].slope) / (2 * scale),
        pulled.length * moving,
    )
    return errors


def _pushed(problem: Problem, module: nn.Module, call: Call, direction: Params) -> Tensor | None:
    """The tangent by forward mode, as ``mixed`` takes it; ``None`` if there is no rule."""
    alone, params, buffers = _alone(module, call)
    batch = problem.train_batches[0]
    here = replace(problem, model=alone, params={}, buffers=buffers)
    exact = Exact()
    exact.kept = Kept(problem.budget)
    call.randomness.restore()
    try:
        with torch.no_grad(), kernels_with_rules(), Keeping(exact.kept):
            here.outputs(params, copied(buffers), batch.inputs)
        exact.kept.trim()
        # Where gradients are recorded: under no_grad tangents stop as gradients do.
        step = Step(batch, params, buffers, call.randomness)
        return exact.push(here, step, direction).tangent
    except (InputError, RuntimeError):
        return None


def _pull_back(module: nn.Module, call: Call, direction: Params, outputs: Tensor) -> _Pulled:
    alone, params, buffers = _alone(module, call)
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    call.randomness.restore()
    with kernels_with_rules():
        found = torch.func.functional_call(alone, (leaves, buffers), (torch.zeros(()),))
    outputs = outputs.detach().requires_grad_()
    pulled = dict(zip(leaves, _gradient(found, list(leaves.values()), outputs, True), strict=True))
    length = torch.stack([g.detach().square().sum() for g in pulled.values()]).sum().sqrt()
    return _Pulled(_inner(pulled, direction), length, outputs, leaves)


def _alone(module: nn.Module, call: Call) -> tuple[_Alone, Params, Buffers]:
    alone = _Alone(module, call.inputs)
    params = {f"module.{name}": w for name, w in call.weights.items()}
    params.update({f"inputs.{name}": p.detach() for name, p in alone.inputs.items()})
    return alone, params, {f"module.{n}": b for n, b in copied(call.buffers).items()}


def _gradient(
    of: Tensor, leaves: list[Tensor], along: Tensor | None = None, create_graph: bool = False
) -> list[Tensor]:
    """The gradient in each leaf, zero where it does not reach."""
    if not of.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(
        of, leaves, along, create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return [
        torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)
    ]


def _inner(one: Params, other: Params) -> Tensor:
    return torch.stack([(one[name] * v).sum() for name, v in other.items()]).sum()


def _unit(t: Tensor) -> Tensor:
    return t / t.norm().clamp_min(torch.finfo(t.dtype).tiny)


def _relative(found: Tensor, truth: Tensor, least: Tensor) -> float:
    found, truth, least = found.detach(), truth.detach(), least.detach()
    gap = (found - truth).norm()
    if gap == 0:
        return 0.0
    return float(gap / torch.stack([found.norm(), truth.norm(), least]).max())
