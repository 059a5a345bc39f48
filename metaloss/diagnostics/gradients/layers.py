r"""Each layer's part of the hypergradient of one step, found in three ways.

:math:`\theta` acts on the weights through the gradient, so the hypergradient of one step is a sum
over layers,

.. math:: \bar\theta = \sum_l \frac{\partial}{\partial\theta} \langle \nabla_{w_l} L, u_l \rangle
          = \sum_l \frac{\partial}{\partial\theta} \Bigl\langle \frac{\partial L}{\partial z},
          \frac{\partial z}{\partial w_l} u_l \Bigr\rangle .

The left form is differentiated twice backward, as ``unroll`` does. The right form needs a tangent
of the logits along :math:`u` restricted to the layer: by forward mode, as ``mixed`` does, or by
central differences of the logits, which need no derivative of the network.

More than one step also needs the Hessian product :math:`\nabla^2 L\, u`. Each layer's part of it is
compared with central differences of the gradient.

The derivative of a module is used for all layers up to it. So the last layer that differs, or a
module between it and the next layer, has the wrong derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from metaloss.diagnostics.gradients.contributions import (
    apart,
    by_backward,
    by_differences,
    by_forward_mode,
    by_module,
    first_step,
    hessian_errors,
    length,
)
from metaloss.diagnostics.gradients.spans import Span, following, spans
from metaloss.diagnostics.gradients.subject import Subject


@dataclass(frozen=True)
class Layer:
    """A module with parameters of its own, and how far apart its parts of the hypergradient are.

    Differences are relative to the longest part of any layer, and ``None`` where a derivative is
    not available.

    Attributes:
        name: the module's name; empty for the model itself.
        kind: the module's class.
        order: its place in the forward pass.
        share: the length of its part, relative to the longest one.
        forward_backward: difference of forward mode and double backward.
        forward_differences: difference of forward mode and central differences.
        backward_differences: difference of double backward and central differences.
        hessian: difference of the Hessian product by double backward and by central differences;
            only for more than one step in float64.
        followed_by: the modules that end between its call and the next layer's, as in ``label``.
    """

    name: str
    kind: str
    order: int
    share: float
    forward_backward: float | None
    forward_differences: float | None
    backward_differences: float | None
    hessian: float | None = None
    followed_by: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name and the class."""
        return label(self.name, self.kind)

    @property
    def errors(self) -> tuple[float | None, ...]:
        """All differences."""
        return (
            self.forward_backward,
            self.forward_differences,
            self.backward_differences,
            self.hessian,
        )

    def differs(self, exact: float, approximate: float) -> bool:
        """Whether any difference is larger than rounding explains.

        Args:
            exact: the largest difference of forward mode and double backward.
            approximate: the largest difference of central differences and either of them.
        """
        limits = (exact, approximate, approximate, approximate)
        pairs = zip(self.errors, limits, strict=True)
        return any(error is not None and not error <= most for error, most in pairs)


def label(name: str, kind: str) -> str:
    """Name a module and its class."""
    return f"{name} ({kind})" if name else f"the model itself ({kind})"


def layer_parts(subject: Subject) -> list[Layer]:
    """Compare the parts of all layers that the first step's loss reaches.

    Args:
        subject: is not changed.

    Returns:
        The layers in the order of the forward pass.
    """
    problem = subject.problem()
    with subject.same_randomness(), torch.enable_grad():
        step, direction = first_step(problem, subject.first_step())
        groups = by_module(subject.model, direction)
        called = spans(problem, step)
        backward = by_backward(problem, step, groups, direction)
        parts = {}
        for name, names in groups.items():
            along = {each: direction[each] for each in names}
            parts[name] = (
                by_forward_mode(problem, step, along),
                backward[name],
                by_differences(problem, step, along),
            )
        several = len(subject.train_batches) > 1 and subject.dtype == torch.float64
        hessian = hessian_errors(problem, step, groups, direction) if several else {}
    lengths = {name: max(map(length, three)) for name, three in parts.items()}
    longest = max(lengths.values())
    found = []
    for name, (forward, twice, differences) in parts.items():
        found.append(
            Layer(
                name=name,
                kind=type(subject.model.get_submodule(name)).__name__,
                order=_span(name, called).begin,
                share=lengths[name] / longest if longest else 0.0,
                forward_backward=apart(forward, twice, longest),
                forward_differences=apart(forward, differences, longest),
                backward_differences=apart(twice, differences, longest),
                hessian=hessian.get(name),
            )
        )
    return _with_followers(subject.model, sorted(found, key=lambda layer: layer.order), called)


def _with_followers(
    model: nn.Module, layers: Sequence[Layer], called: Mapping[str, Span]
) -> list[Layer]:
    nexts: list[int | None] = [*(layer.order for layer in layers[1:]), None]
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    found = []
    for layer, until in zip(layers, nexts, strict=True):
        names = (n for n in following(called, layer.order, until) if n != layer.name)
        found.append(replace(layer, followed_by=tuple(label(n, kinds[n]) for n in names)))
    return found


def _span(name: str, called: Mapping[str, Span]) -> Span:
    """When a module is called; for one that is not called itself, when its parent is."""
    while name and name not in called:
        name = name.rpartition(".")[0]
    return called[name]
