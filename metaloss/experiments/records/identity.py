"""The identity of a run in plain values, to recognise its checkpoint and its folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.digest import digest
from metaloss.experiments.methods import Method
from metaloss.pretrained.spec import Component, describe
from metaloss.training.engine import FULL, Engine
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.types import Fingerprinted, Loader


def identity(value: object) -> Any:
    """Describe a value in plain values that are the same in another process.

    Numbers and strings stay as they are. Components of a loss become their name and arguments,
    functions their name and bound arguments, tensors a hash, and any other object its type's name.
    Fields of a dataclass with the metadata ``{"identity": False}`` are left out.

    Example:
        >>> from functools import partial
        >>> import torch
        >>> from metaloss.losses import GCE
        >>> from metaloss.experiments.records.identity import identity
        >>> identity({"loss": GCE(), "epochs": (3,)})
        {'loss': {'type': 'GCE', 'args': {}}, 'epochs': [3]}
        >>> identity(partial(torch.optim.SGD, lr=0.1))
        {'of': 'SGD', 'args': [], 'keywords': {'lr': 0.1}}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): identity(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [identity(each) for each in value]
    return _of_object(value)


def run_identity(trainings: MultiTaskTraining, method: Method) -> dict[str, Any]:
    """Return the identity of a run. A run that is resumed has to have the same one."""
    return {
        # The adjuster itself is in the checkpoint; the provenance holds a hash of the loaded one.
        "method": {**identity(method), **method.provenance},
        "tasks": {
            name: {
                "recipe": identity(training.recipe),
                "steps": training.total,
                "targets": identity(training.task.train_targets),
                "network": _described(training.state.model),
                **_precision(training.state.engine),
                "samples": {
                    "train": samples_of(training.task.train),
                    "meta": samples_of(training.task.meta),
                    "validation": samples_of(training.task.validation),
                    "test": samples_of(training.task.test),
                },
            }
            for name, training in trainings.trainings.items()
        },
        "sampler": identity(trainings.sampler),
    }


def difference(expected: Any, found: Any, where: str = "") -> str | None:
    """Describe the first difference of two identities; ``None`` if they are the same.

    The tasks have an order, which is that of their steps.

    Example:
        >>> from metaloss.experiments.records.identity import difference
        >>> difference({"recipe": {"epochs": 6}}, {"recipe": {"epochs": 4}})
        'expected recipe.epochs 6, got 4'
    """
    if expected == found:
        return _other_order(expected, found)
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys([*expected, *found]):
            place = f"{where}.{key}" if where else str(key)
            said = difference(expected.get(key), found.get(key), place)
            if said is not None:
                return said
    if _is_digest(expected) and _is_digest(found):
        return f"expected the same {where}, got others"
    return f"expected {where} {expected}, got {found}"


def _other_order(expected: Any, found: Any) -> str | None:
    """Describe the difference of two equal identities whose tasks have another order."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        wanted, kept = (list(each.get("tasks", ())) for each in (expected, found))
        if wanted != kept:
            return f"expected tasks in the order {', '.join(wanted)}, got {', '.join(kept)}"
    return None


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def samples_of(loader: Loader | None) -> str | None:
    """Return a fingerprint of a loader's samples: its own if it has one, else its first batch's.

    Args:
        loader: the loader, or ``None``.
    """
    if loader is None:
        return None
    if isinstance(loader, Fingerprinted):
        return loader.fingerprint
    return str(identity(next(iter(loader.epoch(0))).inputs))


def _precision(engine: Engine) -> dict[str, str]:
    """Return the precision of the steps, unless it is that of the tensors, as it used to be."""
    return {} if engine.precision == FULL else {"precision": engine.precision}


def _described(model: nn.Module) -> str:
    """Return a network's class, and a digest of its tensors' names and shapes."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    return f"{type(model).__name__} {digest(str(shapes))[:16]}"


def _of_object(value: object) -> Any:
    if isinstance(value, Component):
        with suppress(InputError):  # one that JSON cannot hold
            return describe(value)
    if isinstance(value, Tensor):
        return digest(value)
    if isinstance(value, partial):
        bound = {"args": value.args, "keywords": value.keywords}
        return {"of": identity(value.func), **identity(bound)}
    if is_dataclass(value) and not isinstance(value, type):
        told = [each.name for each in fields(value) if each.metadata.get("identity", True)]
        arguments = {name: identity(getattr(value, name)) for name in told}
        return {"type": _name(type(value)), **arguments}
    return _name(value if isinstance(value, type) or callable(value) else type(value))


def _name(of: Callable[..., object] | type) -> str:
    return str(getattr(of, "__qualname__", type(of).__qualname__))
