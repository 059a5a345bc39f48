"""What a terminal shows while an experiment runs, on narrow ones too."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from metaloss.console import Bars, Lines
from metaloss.training import RunInfo

RECORD = {
    "epoch": 1,
    "task": "fashion-mnist-symmetric-40",
    "samples_per_second": 16387.0,
    "train_loss": 0.826,
    "meta_loss": 0.303,
    "test_accuracy": 93.89,
}


def frame(width: int, method: str, steps: int) -> list[str]:
    """The lines of the last picture drawn."""
    shown = io.StringIO()
    console = Console(
        file=shown, width=width, height=30, force_terminal=True, color_system="standard"
    )
    info = RunInfo(method=method, seed=0, number=1, runs=12, steps=steps, epochs=9)
    with Bars(console) as bars:
        bars.begin(info)
        bars.step(steps // 2)
        bars.epoch(RECORD)
        bars.progress.refresh()
        shown.seek(0)
        shown.truncate()
        bars.progress.refresh()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in text.split("\n") if line.strip()]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("steps", [78, 1_234_567])
@pytest.mark.parametrize("method", ["A-PolySoft", "fashion-mnist-symmetric-40, A-PolySoft"])
def test_bars_and_figures_have_room(width: int, steps: int, method: str) -> None:
    lines = frame(width, method, steps)
    assert all(len(line) <= width for line in lines)
    bars = [line for line in lines if re.search("[━╸╺]{20}", line)]
    assert len(bars) >= 2
    assert any(f"{steps // 2}/{steps}" in line for line in lines)
    summary = "fashion-mnist-symmetric-40: 16387 samples/s, loss 0.826, meta loss 0.303"
    assert any(summary in line for line in lines)
    words = " ".join(re.split("[━╸╺]", line)[0] for line in lines)
    assert all(word in words for word in re.findall(r"\w+", f"{method}, seed 0"))


def test_warnings_stand_above_the_bars_and_among_the_lines() -> None:
    for kind in (Bars, Lines):
        shown = io.StringIO()
        console = Console(file=shown, width=200, force_terminal=kind is Bars)
        with kind(console) as observer:
            observer.warn("[a] b")
        assert "warning: [a] b" in shown.getvalue()


def test_the_figures_of_one_run_are_not_shown_for_the_next() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    info = RunInfo(method="A", seed=0, number=1, runs=2, steps=10, epochs=1)
    with Bars(console) as bars:
        bars.begin(info)
        bars.epoch(RECORD)
        assert "meta loss" in bars.progress.summary
        bars.begin(info._replace(number=2))
        assert bars.progress.summary == ""


def test_skipped_steps_are_warnings() -> None:
    for kind in (Bars, Lines):
        shown = io.StringIO()
        info = RunInfo(method="CE", seed=0, number=1, runs=1, steps=9, epochs=9)
        with kind(Console(file=shown, width=300)) as observer:
            observer.begin(info)
            skipped = {"number": 1, "step": 7, "tensor": "loss"}
            observer.epoch({**RECORD, "skipped_steps": skipped, "meta_steps_skipped": skipped})
        text = shown.getvalue()
        assert (
            "warning: fashion-mnist-symmetric-40, epoch 1: 1 step was skipped, because the "
            "loss or a gradient was not finite; the first was step 7, by loss\n"
        ) in text
        assert "epoch 1: 1 meta step was skipped, because the hypergradient was not finite" in text
