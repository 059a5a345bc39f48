"""The result of checking a hypergradient."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from metaloss.diagnostics.gradients.layers import Layer
from metaloss.files import check_file_place, user_path, write_atomically


class Thresholds(NamedTuple):
    """The largest relative errors that pass.

    Attributes:
        exact: between two exact strategies.
        real: between a strategy and central differences of real training.
        difference: between ``difference`` and an exact strategy.
        layers: between a layer's derivatives and central differences.
        nudges: step sizes of the central differences of real training. The best one counts: small
            steps suffer from rounding, large ones from kinks and curvature.
    """

    exact: float
    real: float
    difference: float
    layers: float
    nudges: tuple[float, ...]


THRESHOLDS = {
    torch.float64: Thresholds(1e-9, 1e-5, 1e-4, 1e-4, (1e-5, 1e-6, 1e-4)),
    torch.float32: Thresholds(1e-3, 5e-2, 5e-2, 5e-2, (1e-2, 1e-3, 1e-1)),
}


@dataclass(frozen=True)
class Check:
    """A comparison of two hypergradients.

    Attributes:
        name: says which two.
        error: the relative error; ``None`` if the comparison was not possible.
        threshold: the largest error that passes.
        note: why the comparison was not possible.
        needed: whether training needs what was not available.
    """

    name: str
    error: float | None
    threshold: float
    note: str = ""
    needed: bool = False

    @property
    def differs(self) -> bool:
        """Whether the error is too large or not a number."""
        return self.error is not None and not self.error <= self.threshold

    @property
    def status(self) -> str:
        """One of ``"ok"``, ``"differs"``, ``"failed"`` and ``"skipped"``."""
        if self.error is None:
            return "failed" if self.needed else "skipped"
        return "differs" if self.differs else "ok"


@dataclass(frozen=True)
class Report:
    """The result of checking a hypergradient.

    Attributes:
        steps: K.
        length: the norm of the hypergradient.
        checks: the comparisons.
        layers: each layer's part of the first step's hypergradient, in the order of the forward
            pass; empty if nothing differs.
        conclusions: which strategies and which layer are wrong, in sentences; empty if nothing
            differs.
    """

    steps: int
    length: float
    checks: list[Check]
    layers: list[Layer]
    conclusions: list[str]

    @property
    def holds(self) -> bool:
        """Whether no comparison differs, and training has what it needs."""
        return all(check.status in {"ok", "skipped"} for check in self.checks)

    @property
    def notes(self) -> list[str]:
        """Why comparisons were not possible, and the conclusions."""
        notes: dict[str, list[str]] = {}
        for check in self.checks:
            if check.note:
                notes.setdefault(check.note, []).append(check.name)
        skipped = [f"{', '.join(names)}: {note}" for note, names in notes.items()]
        return [*skipped, *self.conclusions]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; an error that is not a number becomes ``None``."""
        return {
            "steps": self.steps,
            "length": _plain(self.length),
            "holds": self.holds,
            "checks": [{**_plainly(asdict(c)), "status": c.status} for c in self.checks],
            "layers": [_plainly(asdict(layer)) for layer in self.layers],
            "conclusions": self.conclusions,
        }


class Document:
    """The reports of an experiment's methods as a JSON file.

    Args:
        path: the path of the file; if ``None``, nothing is written.
        about: other values to write.

    Raises:
        InputError: no file can be written there.
    """

    def __init__(self, path: str | Path | None, **about: Any) -> None:
        self.path = None if path is None else user_path(path)
        if self.path is not None:
            check_file_place("json", self.path)
        self.holds = True
        self.content: dict[str, Any] = {**about, "methods": {}}

    def add(self, name: str, report: Report) -> None:
        """Add the report on a method."""
        self.holds &= report.holds
        self.content["methods"][name] = report.as_json()

    def write(self) -> None:
        """Write the file."""
        if self.path is not None:
            text = json.dumps({**self.content, "holds": self.holds}, indent=2, allow_nan=False)
            write_atomically(self.path, f"{text}\n".encode())


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plainly(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}
