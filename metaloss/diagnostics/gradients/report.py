"""What a check of a hypergradient found, for people and for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from metaloss.checks import require
from metaloss.diagnostics.gradients.layers import Layer
from metaloss.diagnostics.gradients.modules import Fault
from metaloss.files import user_path, write_atomically


class Thresholds(NamedTuple):
    """How large a relative error may be.

    Attributes:
        exact: between two exact strategies.
        real: between a strategy and central differences of real training.
        difference: between ``difference`` and an exact strategy.
        modules: between a module's derivatives and central differences of its outputs.
        nudges: how far the adjuster is nudged for real training; the best one counts, as rounding
            spoils small nudges, kinks and curvature large ones.
    """

    exact: float
    real: float
    difference: float
    modules: float
    nudges: tuple[float, ...]


THRESHOLDS = {
    torch.float64: Thresholds(1e-9, 1e-5, 1e-4, 1e-4, (1e-5, 1e-6, 1e-4)),
    torch.float32: Thresholds(1e-3, 5e-2, 5e-2, 5e-2, (1e-2, 1e-3, 1e-1)),
}


@dataclass(frozen=True)
class Check:
    """A comparison.

    Attributes:
        name: what is compared with what.
        error: relative; ``None`` if the comparison could not be made.
        threshold: the largest error that will do.
        note: why it could not be made.
        needed: whether training itself cannot do without what was missing.
    """

    name: str
    error: float | None
    threshold: float
    note: str = ""
    needed: bool = False

    @property
    def differs(self) -> bool:
        """Whether it was made, and the error is too large or not a number."""
        return self.error is not None and not self.error <= self.threshold

    @property
    def status(self) -> str:
        """One of ok, differs, failed and skipped."""
        if self.error is None:
            return "failed" if self.needed else "skipped"
        return "differs" if self.differs else "ok"


@dataclass(frozen=True)
class Report:
    """What a check of a hypergradient found.

    Attributes:
        steps: of the lookahead.
        length: the hypergradient's.
        checks: the comparisons.
        layers: parts of the first step's hypergradient, in the order of the forward pass; empty if
            nothing differs.
        faults: the modules whose derivatives are wrong; empty if nothing differs.
        conclusions: what follows, in sentences.
    """

    steps: int
    length: float
    checks: list[Check]
    layers: list[Layer]
    faults: list[Fault]
    conclusions: list[str]

    @property
    def holds(self) -> bool:
        """Whether all is well as far as it could be looked at."""
        return all(check.status in {"ok", "skipped"} for check in self.checks)

    @property
    def remarks(self) -> list[str]:
        """Why comparisons could not be made, and what follows from the others."""
        notes: dict[str, list[str]] = {}
        for check in self.checks:
            if check.note:
                notes.setdefault(check.note, []).append(check.name)
        skipped = [f"{', '.join(names)}: {note}" for note, names in notes.items()]
        return [*skipped, *self.conclusions]

    def as_json(self) -> dict[str, Any]:
        """Plain values; an error that is not a number is ``None``, with status ``differs``."""
        return {
            "steps": self.steps,
            "length": _plain(self.length),
            "holds": self.holds,
            "checks": [{**_plainly(asdict(c)), "status": c.status} for c in self.checks],
            "layers": [_plainly(asdict(layer)) for layer in self.layers],
            "faults": [{**f._asdict(), "wrong": _plainly(f.wrong)} for f in self.faults],
            "conclusions": self.conclusions,
        }


def conclusions(
    checks: Sequence[Check],
    layers: Sequence[Layer],
    faults: Sequence[Fault],
    limits: Thresholds,
    steps: int,
) -> list[str]:
    """What follows from the comparisons, in sentences.

    Args:
        checks: of which one differs.
        layers: in the order of the forward pass.
        faults: what modules were found to be wrong.
        limits: the thresholds.
        steps: of the lookahead.
    """
    said = [_which(checks)]
    differing = [layer for layer in layers if layer.differs(limits.exact, limits.modules)]
    if differing:
        said.append(_where(layers, differing))
    elif layers and not faults and steps > 1:
        said.append(
            "at the first step no layer differs: it is a later step that does, which takes second "
            "derivatives of the loss"
        )
    said += [fault.words for fault in faults]
    if differing and not faults:
        said.append("no single module's derivatives were found to be wrong")
    return said


def _which(checks: Sequence[Check]) -> str:
    """Who is to be believed."""
    real = " against real training"
    status = {c.name.removesuffix(real): c.status for c in checks if c.name.endswith(real)}
    right, wrong = ([n for n, s in status.items() if s == kind] for kind in ("ok", "differs"))
    among = [c.status for c in checks if not c.name.endswith(real)]
    if wrong and right:
        return (
            f"{' and '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong: "
            f"{' and '.join(right)} {'agrees' if len(right) == 1 else 'agree'} with real training"
        )
    if wrong and "differs" in among:
        return "the strategies differ from one another, and none agrees with real training"
    if wrong:
        who = "all strategies agree with each other but not with"
        if "ok" not in among:
            who = f"{wrong[0]} does not agree with"
        return (
            f"{who} finite differences of real training: the loss, conditioner or model is not "
            "differentiable where it is evaluated, or detaches something"
        )
    if right:
        return "the strategies differ from one another by less than real training can tell"
    return "the strategies differ from one another; real training cannot tell which is right"


def _where(layers: Sequence[Layer], differing: Sequence[Layer]) -> str:
    """What goes wrong in a module goes wrong for all layers up to it, whose tangents pass it."""
    last = differing[-1]
    after = [layer for layer in layers if layer.order > last.order]
    until = f", and before {after[0].label}" if after else ""
    return (
        f"{len(differing)} of {len(layers)} layers differ at the first step; the last of them in "
        f"the forward pass is {last.label}: what is wrong is in it, or after it{until}"
    )


class Document:
    """The reports of an experiment's methods as a JSON file.

    Args:
        path: the file's; nothing is written if not given.
        about: what else to write.

    Raises:
        InputError: there is no folder to write it to.
    """

    def __init__(self, path: str | Path | None, **about: Any) -> None:
        path = None if path is None else user_path(path)
        require(
            path is None or (path.parent.is_dir() and not path.is_dir()),
            f"{path}: expected a file in a folder that exists",
        )
        self.path = path
        self.holds = True
        self.content: dict[str, Any] = {**about, "methods": {}}

    def add(self, name: str, report: Report) -> None:
        """Add a method's report."""
        self.holds &= report.holds
        self.content["methods"][name] = report.as_json()

    def write(self) -> None:
        """Write the file."""
        if self.path is not None:
            text = json.dumps({**self.content, "holds": self.holds}, indent=2, allow_nan=False)
            write_atomically(self.path, f"{text}\n".encode())


def show(console: Console, name: str, report: Report) -> None:
    """Print a report.

    Args:
        console: where to.
        name: the method's.
        report: of it.
    """
    console.print(checks_table(name, report))
    if report.layers:
        console.print(layers_table(report.layers))
    for remark in report.remarks:
        console.print(remark, markup=False, highlight=False, soft_wrap=True)


def checks_table(name: str, report: Report) -> Table:
    """The comparisons.

    Args:
        name: the method's.
        report: of it.
    """
    through = "1 step" if report.steps == 1 else f"{report.steps} steps"
    table = Table(title=f"{name}: hypergradient through {through}, of length {report.length:.1e}")
    table.add_column("check")
    for column in ("relative error", "threshold"):
        table.add_column(column, justify="right")
    table.add_column("")
    for check in report.checks:
        error = "-" if check.error is None else f"{check.error:.1e}"
        threshold = f"{check.threshold:.0e}" if check.threshold else "-"
        style = None if check.status == "ok" else "dim" if check.status == "skipped" else "bold red"
        table.add_row(check.name, error, threshold, check.status, style=style)
    return table


def layers_table(layers: Sequence[Layer], most: int = 10) -> Table:
    """The layers that are furthest apart, in the order of the forward pass.

    Forward mode is how ``mixed`` finds a layer's part, double backward is how ``unroll`` does.

    Args:
        layers: all of them.
        most: how many to show.
    """
    furthest = sorted(layers, key=lambda layer: -layer.furthest)[:most]
    table = Table(title="Layers' parts of the first step's hypergradient, the longest of length 1")
    table.add_column("layer")
    for column in ("length", "mixed/unroll", "mixed/diff.", "unroll/diff."):
        table.add_column(column, justify="right")
    for layer in sorted(furthest, key=lambda layer: layer.order):
        errors = (layer.forward_backward, layer.forward_differences, layer.backward_differences)
        shown = ["-" if error is None else f"{error:.1e}" for error in errors]
        table.add_row(layer.label, f"{layer.share:.2g}", *shown)
    return table


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plainly(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}
