"""Training without a call of ``progress`` warns once."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict

import metaloss
from metaloss import AdjustedLoss, Adjuster, ScheduledAdjuster
from metaloss.bilevel import Lookback
from metaloss.conditioners import Concat, Margin, MovingAverage, Progress
from metaloss.losses import GCE
from tests.adjusters.cases import constant

OUTPUTS, TARGETS, INDEX = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 0]), torch.arange(6)
WORDS = r"total_steps, and criterion.progress\(fraction\) was never called"


def scheduled(count: int) -> AdjustedLoss:
    adjuster = ScheduledAdjuster([constant(0.1 * (k + 1)) for k in range(count)])
    return AdjustedLoss(GCE(), None, adjuster)


def reading(conditioner) -> AdjustedLoss:
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner, 4))
    criterion.prepare(TARGETS, 4)
    return criterion


WAITING: dict[str, Callable[[], AdjustedLoss]] = {
    "snapshots": lambda: scheduled(3),
    "from the package": lambda: metaloss.from_pretrained("gce-fashion-mnist-statistics"),
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


def counting(total: object = 6, conditioner=None) -> AdjustedLoss:
    adjuster = ScheduledAdjuster([constant(0.1 * (k + 1)) for k in range(3)])
    return AdjustedLoss(GCE(), conditioner, adjuster, total_steps=total)


def test_its_own_calls_move_the_snapshots():
    criterion, used = counting(), []
    for _ in range(6):
        used.append(criterion.adjuster.current)
        step(criterion)
        with torch.no_grad():
            criterion(OUTPUTS, TARGETS)
        criterion.per_sample(OUTPUTS, TARGETS)
        criterion.hparams(OUTPUTS, TARGETS)
    assert used == [0, 0, 1, 1, 2, 2]


def test_the_feature_is_that_of_the_call():
    """As after criterion.progress(k / 6) before call k."""
    criterion = counting(conditioner=Progress())
    for k in range(6):
        assert criterion.features(OUTPUTS, TARGETS)[0].item() == pytest.approx(k / 6)
        criterion.losses(OUTPUTS, TARGETS)
    criterion.per_sample(OUTPUTS, TARGETS)  # one that does not train is not counted
    assert criterion.features(OUTPUTS, TARGETS)[0].item() == 1.0


def test_the_count_is_resumed():
    criterion = counting()
    for _ in range(3):
        step(criterion)
    saved = criterion.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in saved.values())
    again = counting()
    again.load_state_dict(saved)
    assert again.adjuster.current == criterion.adjuster.current == 1
    step(again)
    assert again.adjuster.current == 2
    without = scheduled(3)
    without.load_state_dict(saved)  # by hand from here on
    assert without.adjuster.current == 2
    again.load_state_dict(without.state_dict())
    assert "steps_done" not in without.state_dict()


def test_a_module_resumes_its_criterions_count():
    module, again = (torch.nn.ModuleDict({"criterion": counting()}) for _ in range(2))
    for _ in range(4):
        step(module["criterion"])
    again.load_state_dict(module.state_dict())
    assert again["criterion"].steps.done == 4


def test_the_count_is_a_tensor_of_the_module_for_distributed_checkpoints():
    module, again = (torch.nn.ModuleDict({"criterion": counting()}) for _ in range(2))
    for _ in range(4):
        step(module["criterion"])
    saved = get_model_state_dict(module)
    assert saved["criterion.steps_done"].item() == 4
    assert set(saved) <= {*dict(module.named_parameters()), *dict(module.named_buffers())}
    set_model_state_dict(again, saved)
    assert again["criterion"].steps.done == 4


def test_a_state_without_a_count_leaves_it():
    criterion = counting()
    for _ in range(4):
        step(criterion)
    without = {k: v for k, v in criterion.state_dict().items() if k != "steps_done"}
    criterion.load_state_dict(without)
    assert criterion.steps.done == criterion.state_dict()["steps_done"] == 4


def test_progress_by_hand_sets_the_count():
    criterion = counting()
    criterion.progress(0.5)
    assert criterion.adjuster.current == 1
    step(criterion)
    assert (criterion.steps.done, criterion.adjuster.current) == (4, 2)


def test_more_calls_than_there_were_to_be_warn_once():
    criterion = counting(2)
    step(criterion)
    step(criterion)
    with pytest.warns(UserWarning, match="total_steps=2 calls in training") as said:
        for _ in range(3):
            step(criterion)
    assert len(said) == 1 and "\n" not in str(said[0].message)
    assert criterion.adjuster.current == 2


def test_one_from_the_package_counts_too():
    criterion = metaloss.from_pretrained("gce-fashion-mnist-statistics", total_steps=6)
    used = []
    for _ in range(6):
        used.append(criterion.adjuster.current)
        step(criterion)
    assert used == sorted(used) and set(used) == {0, 1, 2, 3}


@pytest.mark.bad_input
@pytest.mark.parametrize("total", [0, -1, 2.5, "10", True])
def test_totals_that_are_no_number_of_calls(total):
    with pytest.raises(metaloss.InputError, match="total_steps: expected a whole number of at le"):
        counting(total)


def test_a_lookback_differentiates_the_call_that_was_made():
    """The count moves after the call, so that a second pass reads the same features."""
    torch.manual_seed(0)
    conditioner = Concat([Margin(), Progress()])
    adjuster = Adjuster.for_loss(GCE(), conditioner, 4)
    torch.nn.init.normal_(adjuster.net[2].weight)
    criterion = AdjustedLoss(GCE(), conditioner, adjuster, total_steps=4).double()
    model = torch.nn.Linear(3, 4).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(6, 3).double(), TARGETS
    for _ in range(3):
        lookback = Lookback()
        with lookback.step(model, optimizer, criterion, (x, y)):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        assert lookback.hypergradient((x, y))["net.0.weight"].abs().sum() > 0
    assert criterion.steps.done == 3


def test_prepare_begins_another_run():
    criterion = counting()
    for _ in range(6):
        step(criterion)
    criterion.prepare(TARGETS, 10)
    assert criterion.adjuster.current == 0 and criterion.state_dict()["steps_done"] == 0
    by_hand = counting(total=None)
    by_hand.progress(1.0)
    by_hand.prepare(TARGETS, 10)
    assert by_hand.adjuster.current == 2  # nobody said that it counts


def test_the_end_that_was_asked_for_gives_no_warning_of_more_calls():
    criterion = counting()
    criterion.progress(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(criterion)
    assert criterion.adjuster.current == 2
