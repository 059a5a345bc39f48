"""Weights of a network from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from metaloss.checks import require
from metaloss.user_errors import as_input_error


def load_weights(model: nn.Module, path: Path, name: str) -> None:
    """Load all weights and buffers of a network from a file, in place.

    Args:
        model: the network.
        path: a state dict, as ``torch.save`` writes it (nothing but tensors is read), or a
            ``.safetensors`` file.
        name: the network's name, for the message.

    Raises:
        InputError: the file does not exist, cannot be read, or is of another network.

    Example:
        >>> import tempfile
        >>> from metaloss.models.weight_files import load_weights
        >>> file = Path(tempfile.mkdtemp()) / "line.pth"
        >>> torch.save({"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, file)
        >>> line = nn.Linear(2, 1)
        >>> load_weights(line, file, "a line")
        >>> line.weight.tolist()
        [[1.0, 1.0]]
    """
    require(path.is_file(), f"{path}: expected a file of weights of {name}, found no such file")
    found = _read(path, name)
    own = model.state_dict()
    missing = [key for key in own if key not in found]
    unknown = [key for key in found if key not in own]
    shapes = [key for key in own if key in found and own[key].shape != found[key].shape]
    for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", shapes)):
        require(
            not keys,
            f"{path}: expected the {len(own)} tensors of {name}, {len(keys)} are {what}, such as "
            f"{(keys or [''])[0]}",
        )
    model.load_state_dict(found)


def _read(path: Path, name: str) -> dict[str, Tensor]:
    with as_input_error(f"{path}: expected a file of weights of {name}, cannot read it"):
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    require(
        isinstance(found, Mapping) and all(isinstance(each, Tensor) for each in found.values()),
        f"{path}: expected a file of weights of {name}, tensors by name, got a "
        f"{type(found).__name__}",
    )
    return dict(found)
