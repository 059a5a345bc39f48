"""Checks that refuse models, optimizers and batches a lookahead cannot handle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torchopt
from torch import Tensor, nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from metaloss.checks import InputError, require, seen
from metaloss.types import Batch

_CLIPPING = "to clip gradients, give the lookahead clip=ClipNorm(...) or ClipValue(...)"


def check_model(model: nn.Module) -> None:
    """Raise :class:`~metaloss.checks.InputError` for a model that a lookahead cannot differentiate.

    Args:
        model: the model to check for gradient hooks, weights that the forward pass writes, and data
            parallelism.
    """
    check_one_process(model)
    check_no_gradient_hooks(model)
    for name, module in model.named_modules():
        require(
            not (getattr(module, "max_norm", None) and isinstance(module, _EMBEDDINGS)),
            f"model: expected weights that the forward pass leaves alone, but {_of(name, module)} "
            "scales its own to max_norm; scale them after the optimizer's step instead",
        )


def check_one_process(model: nn.Module) -> None:
    """Raise :class:`~metaloss.checks.InputError` for a module wrapped in data parallelism."""
    for module in model.modules():
        kind = type(module)
        require(
            not kind.__module__.startswith(_PARALLEL),
            f"model: expected a module in one process, got {kind.__name__}, which averages "
            "gradients over processes; the hypergradient would ignore the other processes' batches",
        )


def check_no_gradient_hooks(model: nn.Module) -> None:
    """Raise :class:`~metaloss.checks.InputError` if the model has hooks that may change gradients.

    Check a model before it is copied, because a copy loses the hooks on its parameters.
    """
    for name, p in model.named_parameters():
        hooks = [*(p._backward_hooks or {}).values(), *_after_accumulation(p)]
        require(
            not (p.requires_grad and hooks),
            f"model: expected gradients that nothing changes on their way to the optimizer, but "
            f"{name} has the hook {_names(hooks)}, which a lookahead cannot differentiate; "
            f"remove it, or freeze the parameter; {_CLIPPING}",
        )
    for name, module in model.named_modules():
        hooks = [*module._backward_hooks.values(), *module._backward_pre_hooks.values()]
        require(
            not hooks,
            f"model: expected modules without hooks on gradients, but {_of(name, module)} has "
            f"{_names(hooks)}, which a lookahead cannot differentiate; remove it",
        )


def check_no_step_hooks(optimizer: torch.optim.Optimizer | torchopt.Optimizer) -> None:
    """Raise :class:`~metaloss.checks.InputError` if the optimizer's step has hooks.

    Args:
        optimizer: any optimizer; TorchOpt's have no hooks.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        return
    registered = [
        # An optimizer that wraps another may lack these attributes.
        getattr(optimizer, "_optimizer_step_pre_hooks", {}),
        getattr(optimizer, "_optimizer_step_post_hooks", {}),
        _global_optimizer_pre_hooks,
        _global_optimizer_post_hooks,
    ]
    hooks = [hook for each in registered for hook in each.values()]
    require(
        not hooks,
        f"optimizer: expected a step without hooks, got {_names(hooks)}, which a lookahead cannot "
        f"differentiate; remove it; {_CLIPPING}",
    )


def as_batch(name: str, given: Any) -> Batch:
    """Return the given batch as a :class:`~metaloss.types.Batch`.

    Args:
        name: the name of the batch in errors.
        given: ``(inputs, targets)`` or ``(inputs, targets, index)``.

    Raises:
        InputError: ``given`` has another form, or its inputs or targets are not tensors.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.preconditions import as_batch
        >>> as_batch("meta_batch", (torch.zeros(2, 3), torch.zeros(2))).index is None
        True
    """
    wanted = "(inputs, targets) or (inputs, targets, index)"
    if isinstance(given, Mapping):
        keys = ", ".join(map(str, given))
        raise InputError(
            f"{name}: expected {wanted}, got a {type(given).__name__} with the keys {keys}"
        )
    require(
        isinstance(given, tuple | list),
        f"{name}: expected {wanted}, got a {type(given).__name__}",
    )
    require(len(given) in {2, 3}, f"{name}: expected {wanted}, got {len(given)} parts")
    batch = Batch(*given)
    for part, value in (("inputs", batch.inputs), ("targets", batch.targets)):
        if isinstance(value, Mapping):
            raise InputError(
                f"{name}: expected {part} as one tensor, got a {type(value).__name__} with the "
                f"keys {', '.join(map(str, value))}; wrap the model so that it takes one tensor"
            )
        require(
            isinstance(value, Tensor), f"{name}: expected {part} as a tensor, got {seen(value)}"
        )
        require(
            not value.is_inference(),
            f"{name}: expected {part} that gradients can be computed with, got a tensor made "
            "under torch.inference_mode(); make it under torch.no_grad(), or clone it",
        )
    return batch


def as_batches(name: str, given: Any) -> tuple[Batch, ...]:
    """Return a step's batch or micro-batches as a tuple of :class:`~metaloss.types.Batch`.

    Args:
        name: the name of the batches in errors.
        given: a batch as for :func:`as_batch`, or a list or tuple of batches.

    Raises:
        InputError: ``given`` has another form.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.preconditions import as_batches
        >>> batch = torch.zeros(2, 3), torch.zeros(2)
        >>> len(as_batches("batch", batch)), len(as_batches("batch", [batch, batch]))
        (1, 2)
    """
    several = isinstance(given, list | tuple) and given and isinstance(given[0], list | tuple)
    if not several:
        return (as_batch(name, given),)
    return tuple(as_batch(f"{name}[{k}]", each) for k, each in enumerate(given))


@contextmanager
def inference_mode_refused() -> Iterator[None]:
    """Turn torch's errors about inference tensors into one that says what to do.

    Raises:
        InputError: part of the model runs under ``torch.inference_mode()``.
    """
    try:
        yield
    except RuntimeError as error:
        if "nference tensor" not in str(error):
            raise
        raise InputError(
            "model: expected outputs that gradients can be computed with, but part of it runs "
            "under torch.inference_mode(); run that part under torch.no_grad()"
        ) from error


_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_PARALLEL = ("torch.nn.parallel", "torch.distributed")


def _after_accumulation(p: nn.Parameter) -> list[Any]:
    return [*(getattr(p, "_post_accumulate_grad_hooks", None) or {}).values()]


def _of(name: str, module: nn.Module) -> str:
    return f"{name or 'the model itself'} ({type(module).__name__})"


def _names(hooks: Sequence[Any]) -> str:
    return ", ".join(getattr(hook, "__qualname__", type(hook).__name__) for hook in hooks)
