"""What to measure, and how."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from metaloss.bench.cases import CASES
from metaloss.bench.methods import METHODS
from metaloss.checks import check_at_least, check_one_of, require
from metaloss.machine import chosen_device

QUICK = {"batch": 8, "repeats": 2}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is to be measured, and how.

    Args:
        cases: names of networks in ``CASES``; all of them by default.
        methods: names in ``METHODS``; all of them by default.
        steps: values of K, the number of steps to differentiate through.
        batch: samples in a batch.
        repeats: how often each iteration is timed.
        device: such as ``"cpu"`` or ``"cuda"``.
        threads: torch's number of threads; torch's own choice by default.
        channels_last: use the channels-last memory format for images.
        quick: use small networks, to see that everything works and not how long it takes.

    Raises:
        InputError: an unknown name, a number that is too small, or an unavailable device.

    Example:
        >>> from metaloss.bench import Settings
        >>> Settings(cases=("mlp",)).steps
        (1, 5)
    """

    cases: tuple[str, ...] = tuple(CASES)
    methods: tuple[str, ...] = tuple(METHODS)
    steps: tuple[int, ...] = (1, 5)
    batch: int = 100
    repeats: int = 11
    device: str = "cpu"
    threads: int | None = None
    channels_last: bool = False
    quick: bool = False

    def __post_init__(self) -> None:
        """Check all values."""
        _check_names("case", self.cases, CASES)
        _check_names("method", self.methods, METHODS)
        require(len(self.steps) > 0, "steps: expected at least one number, got none")
        for steps in self.steps:
            check_at_least("steps", steps, 1)
        check_at_least("batch", self.batch, 2)  # batch normalization needs two
        check_at_least("repeats", self.repeats, 1)
        if self.threads is not None:
            check_at_least("threads", self.threads, 1)
        chosen_device(self.device)

    @classmethod
    def given(cls, *, quick: bool = False, **values: Any) -> Settings:
        """Make settings from the options of a command line.

        Args:
            quick: also use small batches and few repeats, unless ``values`` has them.
            values: by the names of the settings; ``None`` and empty lists stand for the default,
                and duplicates in a list are dropped.

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
        check_one_of(what, name, known)
