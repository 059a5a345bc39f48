"""What is to be measured, and how."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch

from metaloss.bench.cases import CASES
from metaloss.bench.methods import METHODS, criterion
from metaloss.checks import InputError, check_at_least, require

QUICK = {"batch": 8, "repeats": 2}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is to be measured, and how.

    Args:
        cases: names among ``CASES``; all but the extra ones if not given.
        methods: names among ``METHODS``; all but the ablations if not given.
        steps: the K to look ahead with.
        batch: samples in a batch.
        repeats: how often each thing is timed.
        device: where, such as ``"cpu"`` or ``"cuda"``.
        threads: torch's; its own choice if not given.
        channels_last: lay images out with the channels last.
        speeds: also time the plain step with the settings of :class:`~metaloss.training.Speed`.
        criteria: also time the plain step on these: a loss family by its name, with its defaults,
            or a learned adjuster's, by its name or folder.
        quick: take small networks: to see that all works, not how long it takes.

    Raises:
        InputError: an unknown name, a number below its least, or a device that is not there.

    Example:
        >>> from metaloss.bench import Settings
        >>> Settings(cases=("mlp",)).steps
        (1, 5)
    """

    cases: tuple[str, ...] = tuple(n for n, case in CASES.items() if not case.extra)
    methods: tuple[str, ...] = tuple(n for n, method in METHODS.items() if not method.ablation)
    steps: tuple[int, ...] = (1, 5)
    batch: int = 100
    repeats: int = 11
    device: str = "cpu"
    threads: int | None = None
    channels_last: bool = False
    speeds: bool = False
    criteria: tuple[str, ...] = ()
    quick: bool = False

    def __post_init__(self) -> None:
        """Check all of it."""
        _check_names("case", self.cases, CASES)
        _check_names("method", self.methods, METHODS)
        require(len(self.steps) > 0, "steps: expected at least one number, got none")
        for steps in self.steps:
            check_at_least("steps", steps, 1)
        check_at_least("batch", self.batch, 2)  # batch normalization needs two
        check_at_least("repeats", self.repeats, 1)
        if self.threads is not None:
            check_at_least("threads", self.threads, 1)
        for name in self.criteria:
            criterion(name)
        _check_device(self.device)

    @classmethod
    def given(cls, *, quick: bool = False, **values: Any) -> Settings:
        """The settings with these values where they are not ``None``, or an empty list.

        Args:
            quick: also take small batches, and few times, where nothing is said of them.
            values: by the settings' names; of a list, what is named twice counts once.

        Example:
            >>> from metaloss.bench import Settings
            >>> settings = Settings.given(quick=True, steps=[5, 1, 5], batch=None)
            >>> settings.steps, settings.batch
            ((5, 1), 8)
        """
        said: dict[str, Any] = {
            name: tuple(dict.fromkeys(value)) if isinstance(value, list) else value
            for name, value in values.items()
            if value is not None and value != []
        }
        defaults: dict[str, Any] = QUICK if quick else {}
        return cls(quick=quick, **{**defaults, **said})


def _check_names(what: str, names: Collection[str], known: Collection[str]) -> None:
    require(len(names) > 0, f"{what}: expected at least one of {', '.join(known)}, got none")
    for name in names:
        require(name in known, f"{what}: expected one of {', '.join(known)}, got {name!r}")


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device: expected one that torch can use, got {device!r}: {reason}"
        ) from error
