"""A network as a pure function of its weights, buffers and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from metaloss.bilevel.function_modes import Function, FunctionMode
from metaloss.bilevel.kernels import RECURRENT, torchs_own
from metaloss.checks import require
from metaloss.objective.samples import logits_in
from metaloss.types import Batch

Params = dict[str, Tensor]
Buffers = dict[str, Tensor]


def outputs_of(model: nn.Module, params: Params, buffers: Buffers, batch: Batch) -> Tensor:
    """Compute a model's outputs at given weights.

    Args:
        model: the module; its own parameters and buffers are not used.
        params: the weights by name.
        buffers: the buffers by name; the forward pass updates them in place.
        batch: its inputs are ``[batch, ...]``, or the model's keyword arguments.

    Returns:
        The tensor that the model returns, or the logits in what it returns, as a criterion reads
        them.

    Raises:
        InputError: the model uses activation checkpointing, writes its weights in the forward pass,
            or returns neither.
    """
    tensors = {**params, **buffers}
    before = _versions(params)
    inputs = batch.inputs
    args, kwargs = ((), dict(inputs)) if isinstance(inputs, Mapping) else ((inputs,), {})
    with _uncompiled(model), _DifferentiableKernels():
        outputs = torch.func.functional_call(model, tensors, args, kwargs)
    outputs = logits_in(outputs, batch.targets)
    require(
        isinstance(outputs, Tensor),
        f"model: expected a tensor of outputs or what holds logits, got a "
        f"{type(outputs).__name__}; wrap the model so that it returns the logits alone",
    )
    after = _versions({name: tensors[name] for name in params})
    written = [name for name in params if after[name] != before[name]]
    require(
        not written,
        f"model: expected weights that the forward pass leaves alone, but it writes "
        f"{', '.join(written[:3])}; write them after the optimizer's step, or compute other "
        "tensors from them",
    )
    with torch.no_grad():
        for name, buffer in buffers.items():
            if tensors[name] is not buffer:  # the model assigned a new tensor to this buffer
                buffer.copy_(tensors[name])
    return outputs


def trainable(
    model: nn.Module, besides: Mapping[str, Tensor] | None = None
) -> dict[str, nn.Parameter]:
    """Return a model's trainable parameters by name.

    Args:
        model: the model.
        besides: parameters to leave out, those of an adjuster that the model holds.

    Raises:
        InputError: there is none.
    """
    others = {id(p) for p in (besides or {}).values()}
    params = {
        name: p for name, p in model.named_parameters() if p.requires_grad and id(p) not in others
    }
    require(len(params) > 0, "model: expected a trainable parameter, got none")
    return params


def leaves(params: Mapping[str, Tensor]) -> Params:
    """Return the tensors as new leaves of the autograd graph."""
    return {name: p.detach().requires_grad_() for name, p in params.items()}


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return detached copies of the tensors."""
    return {name: t.detach().clone() for name, t in tensors.items()}


def gradient(loss: Tensor, params: Mapping[str, Tensor], *, create_graph: bool = False) -> Params:
    """Compute the gradient of a scalar in the leaves that it depends on, by name.

    Raises:
        InputError: a gradient is sparse.
    """
    grads = torch.autograd.grad(
        loss, list(params.values()), create_graph=create_graph, allow_unused=True
    )
    for name, g in zip(params, grads, strict=True):
        require(
            g is None or g.layout == torch.strided,
            f"model: expected dense gradients, got a sparse one of {name}; make the embedding "
            "with sparse=False",
        )
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}


@contextmanager
def buffers_replaced(module: nn.Module, buffers: Mapping[str, Tensor]) -> Iterator[None]:
    """Replace buffers of a module inside the ``with`` block."""
    now = {name: b for name, b in module.named_buffers() if name in buffers}
    _assign(module, buffers)
    try:
        yield
    finally:
        _assign(module, now)


def _uncompiled(model: nn.Module) -> AbstractContextManager[Any]:
    """Run compiled parts of a model as they were written: compiled ones have no second derivatives.

    ``torch.compile`` of the whole model is unwrapped before; here are ``model.compile()``, and
    parts that were compiled by themselves.
    """
    compiled = any(
        hasattr(module, "_orig_mod") or module._compiled_call_impl is not None
        for module in model.modules()
    )
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _assign(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    for name, buffer in buffers.items():
        owner, _, leaf = name.rpartition(".")
        module.get_submodule(owner)._buffers[leaf] = buffer


def _versions(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Return the address of each tensor, and the number of in-place writes to it."""
    with torch._C.DisableTorchFunction():  # these calls are not part of the model
        return {name: (t.data_ptr(), t._version) for name, t in tensors.items()}


class _DifferentiableKernels(FunctionMode):
    """Runs recurrent layers on kernels with derivatives, and refuses activation checkpointing.

    A checkpoint recomputes activations in the backward pass. The functional call has ended by then,
    so it would use the model's own weights instead of the given ones.
    """

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func``."""
        hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
        require(
            hooks is None or "checkpoint" not in getattr(hooks[0], "__qualname__", ""),
            "model: expected one without activation checkpointing, which recomputes activations "
            "with other weights than the lookahead's, got torch.utils.checkpoint",
        )
        if func in RECURRENT:
            with torchs_own():
                return func(*args, **kwargs)
        return func(*args, **kwargs)
