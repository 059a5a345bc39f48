"""What was measured, and what follows from it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from metaloss.bench.check import FAILED, FRESH
from metaloss.bench.methods import METHODS, PLAIN, REFERENCE
from metaloss.checks import require
from metaloss.files import user_path, write_atomically

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method in one case at one K.

    Attributes:
        case: the network.
        steps: K; 0 for what does not look ahead.
        method: its name.
        ms: median of its times, in milliseconds; ``None`` if it could not be timed, as below.
        ratio: ``ms`` in cross-entropy steps of the same process.
        to_fastest_peer: ``ratio`` over the fastest peer's, for ours.
        memory_mib: what it has in use at most over the cross-entropy step, each counted from what
            its process had in use before.
        process_mib: the same counted from nothing, with all that either has imported.
        epoch_1: an epoch at T_meta = 1, in cross-entropy epochs.
        epoch_10: an epoch at T_meta = 10.
        errors: of the hypergradient, relative, by the state it was compared at.
        hypergradient: the same in words.
        note: why something is missing; empty if nothing is.
        times_ms: every time that was taken.
        ce_times_ms: those of the cross-entropy steps between them.
    """

    case: str
    steps: int
    method: str
    ms: float | None = None
    ratio: float | None = None
    to_fastest_peer: float | None = None
    memory_mib: float | None = None
    process_mib: float | None = None
    epoch_1: float | None = None
    epoch_10: float | None = None
    errors: dict[str, float | None] = field(default_factory=dict)
    hypergradient: str = ""
    note: str = ""
    times_ms: list[float] = field(default_factory=list)
    ce_times_ms: list[float] = field(default_factory=list)

    def timed(self, times: Sequence[float], ce_times: Sequence[float]) -> Row:
        """With times, given in seconds."""
        return replace(
            self,
            ms=1e3 * median(times),
            ratio=median(times) / median(ce_times),
            times_ms=[1e3 * t for t in times],
            ce_times_ms=[1e3 * t for t in ce_times],
        )

    def weighed(self, memory: Mapping[str, int], ce_memory: Mapping[str, int]) -> Row:
        """With what a process had in use at most and before, given in bytes."""
        peak, before = (memory[name] - ce_memory[name] for name in ("peak", "before"))
        return replace(self, memory_mib=(peak - before) / MIB, process_mib=peak / MIB)

    def noted(self, note: str) -> Row:
        """With another reason for what is missing."""
        if note in self.note:
            return self
        return replace(self, note="; ".join(filter(None, (self.note, note))))

    def checked(self, found: Mapping[str, Any]) -> Row:
        """With what the check of the hypergradient found."""
        if FAILED in found:
            return replace(self, hypergradient="not checked").noted(found[FAILED])
        errors = {state: e if math.isfinite(e) else None for state, e in found.items()}
        return replace(self, errors=errors, hypergradient=verdict(self.method, found))


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that was measured.

    Attributes:
        machine: on which.
        versions: of what is installed.
        settings: how.
        rows: case by case and K by K, the plain steps before the methods.
    """

    machine: dict[str, Any]
    versions: dict[str, str]
    settings: dict[str, Any]
    rows: list[Row]

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries, numbers and strings."""
        return asdict(self)

    def write(self, path: str | Path) -> None:
        """Write all of it as JSON."""
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n"
        write_atomically(user_path(path), text.encode())


def check_place(path: str | Path) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless a file can be written there."""
    path = user_path(path)
    folder = path.absolute().parent
    require(not path.is_dir(), f"{path}: expected a place for a file, got a folder")
    require(
        folder.is_dir() and os.access(folder, os.W_OK),
        f"{path}: expected a place for a file, but {folder} is no folder that can be written to",
    )


def verdict(method: str, errors: Mapping[str, float]) -> str:
    """A method's errors in words.

    Args:
        method: says how much is tolerated.
        errors: relative, by the state they were found at.

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
    """An epoch in cross-entropy epochs, when every ``meta_every``-th iteration is a meta iteration.

    Args:
        plain: what a plain iteration costs, in cross-entropy steps.
        meta: what a meta iteration costs.
        meta_every: T_meta.

    Example:
        >>> from metaloss.bench.results import epoch_cost
        >>> epoch_cost(1.0, 4.0, 10)
        1.3
    """
    return ((meta_every - 1) * plain + meta) / meta_every


def completed(rows: Sequence[Row]) -> list[Row]:
    """The rows of one case and K, with what takes several of them to say."""
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
        epoch_1=row.ratio,
        epoch_10=None if plain is None else epoch_cost(plain, row.ratio, 10),
    )


def _counts_as_peer(row: Row) -> bool:
    """A peer that finds the hypergradient, from a fresh optimizer at least."""
    if row.method not in METHODS or not METHODS[row.method].package:
        return False
    fresh = row.errors.get(FRESH)
    return fresh is not None and fresh <= METHODS[row.method].tolerance
