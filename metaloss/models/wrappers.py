"""torchvision's classifiers with a new last layer."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

from torch import nn
from torch.hub import get_dir

from metaloss.checks import InputError, check_at_least, did_you_mean, require
from metaloss.files import user_path
from metaloss.models.weight_files import load_weights
from metaloss.shim import import_torchvision


def torchvision_model(name: str, num_classes: int, weights: str | Path | None = None) -> nn.Module:
    """Return a classifier of ``torchvision.models`` with a new last layer.

    The model returns logits alone, in training mode too: auxiliary classifiers are removed. Its
    activations do not write in place.

    Args:
        name: torchvision's name, such as ``"resnet18"``.
        num_classes: width of the output, at least 2.
        weights: the name of pretrained weights, such as ``"DEFAULT"`` or ``"IMAGENET1K_V1"``, which
            torchvision downloads once; or a file of weights, torchvision's or one saved from the
            same network with its last layer, a ``.pth`` or ``.safetensors``, which needs no
            network connection; ``None`` for random weights.

    Raises:
        InputError: there is no such classifier or weights, or the weights cannot be loaded.
        ImportError: torchvision cannot be imported.

    Example:
        >>> from metaloss.models import torchvision_model
        >>> import torch
        >>> torchvision_model("squeezenet1_1", num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    check_at_least("num_classes", num_classes, 2)
    models, names = import_torchvision().models, torchvision_names()
    require(
        name in names,
        f"name: expected a classifier of torchvision.models, got {name!r}"
        + did_you_mean(str(name), names, most=3),
    )
    model = models.get_model(name) if weights is None else _pretrained(name, weights)
    _remove_auxiliary_heads(model)
    _forbid_inplace(model)
    return replace_head(model, num_classes)


def vgg19_bn(num_classes: int) -> nn.Module:
    """Return VGG-19 with batch normalization and random weights, the paper's for ANIMAL-10N.

    Args:
        num_classes: width of the output, at least 2.

    Example:
        >>> from metaloss.models import vgg19_bn
        >>> import torch
        >>> with torch.device("meta"):
        ...     vgg19_bn(10)(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])

    References:
        Section 4.4 of the paper; Simonyan and Zisserman, 2015, configuration E.
    """
    return torchvision_model("vgg19_bn", num_classes)


def resnet50(
    num_classes: int, pretrained: bool = True, weights: str | Path | None = None
) -> nn.Module:
    """Return ResNet-50 pretrained on ImageNet, the paper's network for Food-101N and Clothing1M.

    Args:
        num_classes: width of the output, at least 2.
        pretrained: begin with pretrained weights; if not, with random ones.
        weights: the pretrained weights, by name or file, as for :func:`torchvision_model`. By
            default, torchvision's ``IMAGENET1K_V1``, the ones of the paper's time.

    Raises:
        InputError: the weights cannot be loaded.

    Example:
        >>> from metaloss.models import resnet50
        >>> import torch
        >>> with torch.device("meta"):
        ...     resnet50(14, pretrained=False)(torch.zeros(2, 3, 224, 224)).shape
        torch.Size([2, 14])

    References:
        Section 4.4 of the paper.
    """
    chosen = ("IMAGENET1K_V1" if weights is None else weights) if pretrained else None
    return torchvision_model("resnet50", num_classes, chosen)


def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Replace a model's last layer by a new one with ``num_classes`` outputs, in place.

    Args:
        model: its last registered linear layer or convolution is replaced.
        num_classes: width of the output, at least 2.

    Returns:
        ``model`` itself.

    Raises:
        InputError: the model has no linear layer or convolution.

    Example:
        >>> from metaloss.models import replace_head
        >>> replace_head(nn.Sequential(nn.Flatten(), nn.Linear(64, 1000)), num_classes=10)[1]
        Linear(in_features=64, out_features=10, bias=True)
    """
    check_at_least("num_classes", num_classes, 2)
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if name and isinstance(module, nn.Linear | nn.Conv2d)
    ]
    require(
        bool(layers),
        "model: expected one whose last layer is linear or a convolution, "
        f"got {type(model).__name__} with neither",
    )
    name, head = layers[-1]
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, _head_like(head, num_classes))
    return model


def _head_like(head: nn.Linear | nn.Conv2d, num_classes: int) -> nn.Module:
    bias = head.bias is not None
    if isinstance(head, nn.Linear):
        return nn.Linear(head.in_features, num_classes, bias=bias).to(head.weight)
    require(
        head.kernel_size == (1, 1),
        f"model: expected a last convolution of 1x1, got {head.kernel_size}",
    )
    return nn.Conv2d(head.in_channels, num_classes, kernel_size=1, bias=bias).to(head.weight)


def _pretrained(name: str, weights: str | Path) -> nn.Module:
    models = import_torchvision().models
    known = models.get_model_weights(name).__members__
    if weights not in known and _is_file(weights):
        model: nn.Module = models.get_model(name)
        load_weights(model, user_path(weights), name)
        return model
    require(
        weights in known,
        f"weights: expected None, one of {', '.join(known)} for {name}, or a file of weights, got "
        f"{weights!r}",
    )
    chosen = known[weights]
    try:
        return models.get_model(name, weights=chosen)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:  # no network, or a bad file
        raise InputError(
            f"weights: expected {chosen.url} or a copy of it in {get_dir()}/checkpoints, "
            f"got {type(error).__name__}: {error}"
        ) from error


def _is_file(weights: str | Path) -> bool:
    """Return whether this means a file, also one that does not exist."""
    path = Path(weights)
    return path.suffix in {".pth", ".pt", ".safetensors"} or len(path.parts) > 1


def _remove_auxiliary_heads(model: nn.Module) -> None:
    # GoogLeNet and Inception v3 return a tuple in training unless told otherwise.
    if hasattr(model, "aux_logits"):
        model.aux_logits = False  # type: ignore[assignment]
    for name in ("aux1", "aux2", "AuxLogits"):
        if hasattr(model, name):
            setattr(model, name, None)


def _forbid_inplace(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    models = import_torchvision().models
    return models.list_models(module=models)
