"""What a hypergradient needs: a model and an optimizer that it can handle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torchopt
from torch import Tensor, nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from metaloss.checks import require

_CLIPPING = "to clip gradients, give the lookahead clip=ClipNorm(...) or ClipValue(...)"


def check_model(model: nn.Module) -> None:
    """Raise :class:`~metaloss.checks.InputError` for a model that a lookahead cannot differentiate.

    Args:
        model: the model to check for gradient hooks and for weights that the forward pass writes.
    """
    check_no_gradient_hooks(model)
    for name, module in model.named_modules():
        require(
            not (getattr(module, "max_norm", None) and isinstance(module, _EMBEDDINGS)),
            f"model: expected weights that the forward pass leaves alone, but {_of(name, module)} "
            "scales its own to max_norm; scale them after the optimizer's step instead",
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


def check_leaves_alone(
    optimizer: torch.optim.Optimizer | torchopt.Optimizer, theta: Mapping[str, Tensor]
) -> None:
    """Raise :class:`~metaloss.checks.InputError` if the model's optimizer steps the adjuster too.

    It would follow the training loss, which is least where the loss is not robust at all or weighs
    nothing.

    Args:
        optimizer: the optimizer of the model's parameters.
        theta: the adjuster's parameters by name.
    """
    ours = {id(p) for p in theta.values()}
    for group in getattr(optimizer, "param_groups", ()):
        held = group["params"] if isinstance(group, Mapping) else group
        require(
            ours.isdisjoint(map(id, held)),
            "optimizer: expected one of the model's parameters alone, got one that steps the "
            "adjuster's too, by the training loss; leave criterion.parameters() out of it",
        )


_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def _after_accumulation(p: nn.Parameter) -> list[Any]:
    return [*(getattr(p, "_post_accumulate_grad_hooks", None) or {}).values()]


def _of(name: str, module: nn.Module) -> str:
    return f"{name or 'the model itself'} ({type(module).__name__})"


def _names(hooks: Sequence[Any]) -> str:
    return ", ".join(getattr(hook, "__qualname__", type(hook).__name__) for hook in hooks)
