"""Training without a call of ``progress`` warns once."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest
import torch

import metaloss
from metaloss import AdjustedLoss, Adjuster, ScheduledAdjuster
from metaloss.conditioners import Concat, Margin, MovingAverage, Progress
from metaloss.losses import GCE
from tests.adjusters.cases import constant

OUTPUTS, TARGETS, INDEX = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 0]), torch.arange(6)
WORDS = r"criterion.progress\(fraction\) was never called"


def scheduled(count: int) -> AdjustedLoss:
    adjuster = ScheduledAdjuster([constant(0.1 * (k + 1)) for k in range(count)])
    return AdjustedLoss(GCE(), None, adjuster)


def reading(conditioner) -> AdjustedLoss:
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner, 4))
    criterion.prepare(TARGETS, 4)
    return criterion


WAITING: dict[str, Callable[[], AdjustedLoss]] = {
    "snapshots": lambda: scheduled(3),
    "from the package": lambda: metaloss.from_pretrained("gce-fashion-mnist-margin"),
    "feature": lambda: reading(Progress()),
    "feature inside": lambda: reading(Concat([Margin(), MovingAverage(Progress())])),
}
every_waiting = pytest.mark.parametrize("build", WAITING.values(), ids=WAITING.keys())


def step(criterion: AdjustedLoss) -> None:
    criterion(OUTPUTS.clone().requires_grad_(), TARGETS, INDEX).backward()


@every_waiting
def test_a_training_step_warns_once(build: Callable[[], AdjustedLoss]):
    criterion = build()
    with pytest.warns(UserWarning, match=WORDS) as said:
        step(criterion)
        step(criterion)
        criterion.per_sample(OUTPUTS.clone().requires_grad_(), TARGETS, INDEX)
    assert len(said) == 1
    assert "\n" not in str(said[0].message)


@every_waiting
@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_who_says_how_far_training_has_come_is_not_warned(build, fraction: float):
    criterion = build()
    criterion.progress(fraction)
    step(criterion)


@every_waiting
def test_nor_is_an_evaluation(build):
    criterion = build()
    criterion(OUTPUTS, TARGETS, INDEX)  # outputs without a graph: nobody trains
    with torch.no_grad():
        criterion(OUTPUTS, TARGETS, INDEX)
    step(criterion.eval())
    with pytest.warns(UserWarning, match=WORDS):
        step(criterion.train())


@pytest.mark.parametrize(
    "build",
    [lambda: scheduled(1), lambda: AdjustedLoss.fixed(GCE()), lambda: reading(Margin())],
    ids=["one snapshot", "fixed", "margin"],
)
def test_nor_who_has_nothing_to_be_told(build):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(build())


# In a Python of its own: the tests' checks of types cannot be traced.
PROGRAM = """
import warnings, torch, metaloss
for told in (False, True):
    criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
    if told:
        criterion.progress(0.0)
    compiled = torch.compile(criterion, backend="eager", fullgraph=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            compiled(torch.randn(6, 10, requires_grad=True), torch.arange(6)).backward()
    print(sum("criterion.progress" in str(each.message) for each in said))
"""


@pytest.mark.exhaustive
def test_a_compiled_criterion_warns_too_and_is_one_graph():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n0\n", done.stderr
