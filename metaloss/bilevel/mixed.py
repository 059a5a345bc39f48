"""The exact hypergradient at nearly first-order cost: adjoint steps, the first in forward mode."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.autograd.forward_ad as fwd
from torch import Tensor

from metaloss.bilevel.adjoint import Derivatives, Product, Pushed, Step, by_adjoints
from metaloss.bilevel.batch_norm import Fused
from metaloss.bilevel.carry import Carry
from metaloss.bilevel.dual import Dual, NoForwardRuleError
from metaloss.bilevel.kept import Keeping, Kept, refuse_hooks
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.modes import Between, Function
from metaloss.bilevel.optimizers import Params
from metaloss.bilevel.problem import (
    Buffers,
    Problem,
    Shared,
    Solution,
    copied,
    gradient,
    leaves,
    put_back,
)
from metaloss.bilevel.rules import (
    check_twice_differentiable,
    no_forward_rule,
    second_derivatives,
)
from metaloss.checks import InputError

log = logging.getLogger(__name__)


def mixed(problem: Problem) -> Solution:
    """The hypergradient by adjoint steps, the first of them in forward mode.

    Raises:
        NoRuleError: the model has an operation without a forward-mode rule, or for several steps
            without a second derivative.
    """
    return by_adjoints(problem, Exact())


class Exact(Derivatives):
    """Forward mode at the first step, double backward at later ones."""

    exact: ClassVar[bool] = True
    kept: Kept | None = None
    outputs: Tensor | None = None
    last: _WithGraph | None = None

    def first_gradient(self, problem: Problem, step: Step, buffers: Buffers) -> Params:
        """The gradient; what the pass computed is kept, as far as the budget goes."""
        self.kept = Kept(problem.budget)
        params = leaves(step.params)
        try:
            with kernels_with_rules(), Keeping(self.kept):
                outputs = problem.outputs(params, buffers, step.batch.inputs)
        except NoForwardRuleError as error:
            raise no_forward_rule(problem.model, error) from error
        self.kept.trim()
        self.outputs = outputs.detach().clone()  # the model may write to what it gave
        return gradient(problem.adjusted_loss(outputs, step.batch), params)

    def gradient(self, problem: Problem, step: Step, buffers: Buffers) -> Params:
        """The gradient; the last step's is the first to be differentiated, so its graph is kept."""
        if step.batch is not problem.train_batches[-1]:
            params = leaves(step.params)
            with kernels_with_rules():
                outputs = problem.outputs(params, buffers, step.batch.inputs)
            return gradient(problem.adjusted_loss(outputs, step.batch), params)
        self.last = _with_graph(problem, step, buffers)
        return {name: g.detach() for name, g in self.last.grads.items()}

    def push(self, problem: Problem, step: Step, direction: Params) -> Pushed:
        """One pass that carries tangents; the ordinary step's forward pass as well if shared."""
        try:
            pushed = _carried(problem, step, direction, self.kept or Kept(0.0))
        except NoForwardRuleError as error:
            raise no_forward_rule(problem.model, error) from error
        except InputError:
            raise
        except Exception as error:
            log.info("forward-mode by torch itself, without sharing: %s", error)
            pushed = _by_torch_alone(problem, step, direction)
        return pushed._replace(before=self.outputs)

    def product(self, problem: Problem, step: Step, direction: Params) -> Product:
        """A double backward through the step's own graph, which is built for it and dropped."""
        if self.last is None:
            step.randomness.restore()
            params, grads = _with_graph(problem, step, copied(step.buffers))
        else:
            params, grads = self.last
            self.last = None
        with second_derivatives("mixed"):
            found = torch.autograd.grad(
                list(grads.values()),
                [*params.values(), *problem.theta.values()],
                [direction[name] for name in grads],
                allow_unused=True,
            )
        in_params = zip(params, found, strict=False)
        return Product({n: h for n, h in in_params if h is not None}, found[len(params) :])


class _WithGraph(NamedTuple):
    params: Params
    grads: Params


def _with_graph(problem: Problem, step: Step, buffers: Buffers) -> _WithGraph:
    """A step's gradient, which can be differentiated, and the leaves that it is at."""
    params = leaves(step.params)
    with kernels_with_rules(), Fused():
        outputs = problem.outputs(params, buffers, step.batch.inputs)
    loss = problem.adjusted_loss(outputs, step.batch)
    grads = gradient(loss, params, create_graph=True)
    check_twice_differentiable("mixed", grads.values())
    return _WithGraph(params, grads)


def _carried(problem: Problem, step: Step, direction: Params, kept: Kept) -> Pushed:
    step.randomness.restore()
    weights = problem.params if problem.share else step.params
    duals = {name: Dual(weights[name], along) for name, along in direction.items()}
    buffers = problem.buffers if problem.share else copied(step.buffers)
    others = {name: p for name, p in weights.items() if name not in duals}
    try:
        with kernels_with_rules(), Carry(kept):
            found = problem.outputs({**others, **duals}, buffers, step.batch.inputs)
        if not isinstance(found, Dual):  # no direction reaches it
            return _pushed(problem, found, torch.zeros_like(found))
        found.check()
    except BaseException:
        if problem.share:
            put_back(problem.buffers, step.buffers)
        raise
    return _pushed(problem, found.primal, found.tangent)


def _pushed(problem: Problem, outputs: Tensor, tangent: Tensor) -> Pushed:
    shared = Shared(outputs, problem.randomness()) if problem.share else None
    return Pushed(outputs, tangent, shared)


class _AsGradients(Between):
    """While it is entered, tangents stop where gradients would: under ``no_grad``."""

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        refuse_hooks(func)
        carry = torch._C._is_fwd_grad_enabled() and torch.is_grad_enabled()
        with fwd._set_fwd_grad_enabled(carry):
            return func(*args, **kwargs)


def _by_torch_alone(problem: Problem, step: Step, direction: Params) -> Pushed:
    step.randomness.restore()
    with fwd.dual_level(), kernels_with_rules(), _AsGradients():
        dual = {
            name: fwd.make_dual(p, direction[name])  # type: ignore[no-untyped-call]
            if name in direction
            else p
            for name, p in step.params.items()
        }
        try:
            found = problem.outputs(dual, copied(step.buffers), step.batch.inputs)
        except (NotImplementedError, NoForwardRuleError) as error:
            raise no_forward_rule(problem.model, error) from error
        outputs, tangent = fwd.unpack_dual(found)  # type: ignore[no-untyped-call]
    return Pushed(outputs, torch.zeros_like(outputs) if tangent is None else tangent)
