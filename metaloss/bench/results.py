"""Measurements, and the ratios that follow from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from metaloss.bench.check import FAILED, FRESH
from metaloss.bench.methods import METHODS, PLAIN, REFERENCE
from metaloss.files import user_path, write_atomically

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Row:
    """The measurements of one method for one network and one K.

    Attributes:
        case: the name of the network.
        steps: K; 0 for plain steps.
        method: the name of the method.
        ms: median time in milliseconds; ``None`` if it could not be measured, as below.
        ratio: ``ms`` in cross-entropy steps of the same process. It is also the cost of an epoch at
            T_meta = 1, in cross-entropy epochs.
        to_fastest_peer: ``ratio`` over that of the fastest peer; for our methods only.
        memory_mib: peak memory over that of the cross-entropy step, without what was in use before
            the first iteration.
        epoch_10: the cost of an epoch at T_meta = 10, in cross-entropy epochs.
        errors: relative errors of the hypergradient, by the state it was compared at.
        hypergradient: the errors in words.
        note: why a measurement is missing; empty if none is.
        times_ms: all times.
        ce_times_ms: all times of the cross-entropy steps in between.
    """

    case: str
    steps: int
    method: str
    ms: float | None = None
    ratio: float | None = None
    to_fastest_peer: float | None = None
    memory_mib: float | None = None
    epoch_10: float | None = None
    errors: dict[str, float | None] = field(default_factory=dict)
    hypergradient: str = ""
    note: str = ""
    times_ms: list[float] = field(default_factory=list)
    ce_times_ms: list[float] = field(default_factory=list)

    def timed(self, times: Sequence[float], ce_times: Sequence[float]) -> Row:
        """Return the row with these times, given in seconds."""
        return replace(
            self,
            ms=1e3 * median(times),
            ratio=median(times) / median(ce_times),
            times_ms=[1e3 * t for t in times],
            ce_times_ms=[1e3 * t for t in ce_times],
        )

    def weighed(self, memory: Mapping[str, int], ce_memory: Mapping[str, int]) -> Row:
        """Return the row with this memory, given in bytes by ``"peak"`` and ``"before"``."""
        own, ce = (each["peak"] - each["before"] for each in (memory, ce_memory))
        return replace(self, memory_mib=(own - ce) / MIB)

    def noted(self, note: str) -> Row:
        """Return the row with another note."""
        if note in self.note:
            return self
        return replace(self, note="; ".join(filter(None, (self.note, note))))

    def checked(self, found: Mapping[str, Any]) -> Row:
        """Return the row with the result of the check of the hypergradient."""
        if FAILED in found:
            return replace(self, hypergradient="not checked").noted(found[FAILED])
        errors = {state: e if math.isfinite(e) else None for state, e in found.items()}
        return replace(self, errors=errors, hypergradient=verdict(self.method, found))


@dataclass(frozen=True, kw_only=True)
class Results:
    """All measurements.

    Attributes:
        machine: the machine.
        versions: the versions of the libraries that are installed.
        settings: the settings.
        rows: case by case and K by K, the plain steps before the methods.
    """

    machine: dict[str, Any]
    versions: dict[str, str]
    settings: dict[str, Any]
    rows: list[Row]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, dictionaries, numbers and strings."""
        return asdict(self)

    def write(self, path: str | Path) -> None:
        """Write everything as JSON."""
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n"
        write_atomically(user_path(path), text.encode())


def verdict(method: str, errors: Mapping[str, float]) -> str:
    """Describe a method's errors in words.

    Args:
        method: its name; it determines the tolerance.
        errors: relative errors, by the state they were found at.

    Example:
        >>> from metaloss.bench.results import verdict
        >>> verdict("mixed", {"fresh": 1e-7, "live": 2e-7})
        '2e-07'
        >>> verdict("mixed", {"fresh": 1.0, "live": 2e-7})
        'fresh differs: 1e+00'
    """
    if method == REFERENCE:
        return "reference"
    bad = {state: e for state, e in errors.items() if not e <= METHODS[method].tolerance}
    if not bad:
        return f"{max(errors.values()):.0e}"
    if len(bad) == len(errors):
        return f"differs: {max(bad.values()):.0e}"
    return ", ".join(f"{state} differs: {e:.0e}" for state, e in bad.items())


def epoch_cost(plain: float, meta: float, meta_every: int) -> float:
    """Return the cost of an epoch in cross-entropy epochs.

    Args:
        plain: the cost of a plain iteration, in cross-entropy steps.
        meta: the cost of a meta iteration, in cross-entropy steps.
        meta_every: T_meta: every ``meta_every``-th iteration is a meta iteration.

    Example:
        >>> from metaloss.bench.results import epoch_cost
        >>> epoch_cost(1.0, 4.0, 10)
        1.3
    """
    return ((meta_every - 1) * plain + meta) / meta_every


def completed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of one case and K with the figures that compare one with another."""
    plain = next((row.ratio for row in rows if row.method == PLAIN), None)
    peers = [row.ratio for row in rows if row.ratio is not None and _counts_as_peer(row)]
    return [_completed(row, plain, min(peers, default=None)) for row in rows]


def _completed(row: Row, plain: float | None, fastest: float | None) -> Row:
    if row.method not in METHODS or row.ratio is None:
        return row
    ours = not METHODS[row.method].package
    return replace(
        row,
        to_fastest_peer=row.ratio / fastest if ours and fastest is not None else None,
        epoch_10=None if plain is None else epoch_cost(plain, row.ratio, 10),
    )


def _counts_as_peer(row: Row) -> bool:
    """Whether the row is of a peer whose hypergradient is right, at least at the fresh state."""
    if row.method not in METHODS or not METHODS[row.method].package:
        return False
    fresh = row.errors.get(FRESH)
    return fresh is not None and fresh <= METHODS[row.method].tolerance
