"""A loaded criterion is the saved one, bit for bit."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import metaloss
from metaloss import (
    AdjustedLoss,
    Adjuster,
    GroupedAdjuster,
    InputError,
    OracleAdjuster,
    ScheduledAdjuster,
)
from metaloss.bilevel import Lookahead
from metaloss.conditioners import (
    ClassGroup,
    Concat,
    Flipped,
    LossValue,
    Margin,
    MovingAverage,
    Progress,
)
from metaloss.losses import GCE, SL, Fixed, LossFamily, PolySoft, Ranged
from metaloss.pretrained import from_pretrained, load_adjuster, save_adjuster
from tests.adjusters.cases import constant
from tests.conditioners.cases import builders
from tests.helpers import states
from tests.losses.cases import families
from tests.pretrained.cases import CLASSES, answers, contents, learned, same

LOSSES = [family for family in families() if family.hyperparameters]
LOSSES.append(Fixed(Ranged(PolySoft(), {"lam": (1.0, 6.0)}), {"d": 3}))
CONDITIONERS = {name: build for name, build in builders().items() if name != "Flipped"}


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_every_loss(loss: LossFamily, tmp_path: Path):
    criterion = learned(loss)
    save_adjuster(tmp_path, criterion)
    loaded = load_adjuster(tmp_path)
    assert loaded.loss == loss
    assert same(loaded, criterion)


@pytest.mark.parametrize("name", CONDITIONERS)
def test_every_conditioner(name: str, tmp_path: Path):
    criterion = learned(conditioner=CONDITIONERS[name](CLASSES))
    save_adjuster(tmp_path, criterion)
    loaded = load_adjuster(tmp_path)
    assert type(loaded.conditioner) is type(criterion.conditioner)
    assert same(loaded, criterion)


@pytest.mark.parametrize("detach", [True, False])
def test_what_is_held_fixed_stays_so(detach: bool, tmp_path: Path):
    criterion = learned(conditioner=Concat([Margin(), LossValue()]), detach=detach)
    save_adjuster(tmp_path, criterion)
    loaded = load_adjuster(tmp_path)
    assert loaded.detach is detach
    assert same(loaded, criterion)


def test_nested_parts_keep_their_arguments(tmp_path: Path):
    conditioner = Concat(
        [
            MovingAverage(Concat([Margin(), LossValue(Fixed(SL(A=-6.0), {"gamma_1": 0.2}))]), 0.35),
            ClassGroup(3, groups=[0, 2, 1, 1, 0]),
            Progress(),
        ]
    )
    loss = Ranged(Fixed(SL(A=-5.0), {"gamma_2": 0.75}), {"gamma_1": (0.25, 0.5)})
    save_adjuster(tmp_path, learned(loss, conditioner))
    loaded = load_adjuster(tmp_path)
    averaged, group, _ = loaded.conditioner.conditioners
    assert averaged.decay == 0.35
    assert averaged.conditioner.conditioners[1].loss == Fixed(SL(A=-6.0), {"gamma_1": 0.2})
    assert group.class_groups.tolist() == [0, 2, 1, 1, 0]
    assert loaded.loss == loss
    assert (loaded.adjuster.low.tolist(), loaded.adjuster.high.tolist()) == ([0.25], [0.5])


def test_a_grouped_adjuster(tmp_path: Path):
    conditioner = Concat([Margin(), Progress(), ClassGroup(2)])
    adjuster = GroupedAdjuster.for_loss(SL(), conditioner, num_groups=2, hidden=5)
    criterion = AdjustedLoss(SL(), conditioner, adjuster)
    save_adjuster(tmp_path, criterion)
    assert same(load_adjuster(tmp_path), criterion)


def test_what_is_loaded_is_frozen_and_on_its_own(tmp_path: Path):
    criterion = learned()
    expected = answers(criterion)
    save_adjuster(tmp_path, criterion)
    assert all(p.requires_grad for p in criterion.adjuster.parameters())
    with torch.no_grad():
        for parameter in criterion.adjuster.parameters():
            parameter.zero_()
    one, other = load_adjuster(tmp_path), load_adjuster(tmp_path)
    assert not any(p.requires_grad for p in one.parameters())
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.zero_()
    assert all(map(torch.equal, answers(other), expected))
    model = nn.Linear(3, CLASSES)
    batch = torch.randn(4, 3), torch.tensor([0, 1, 2, 3])
    with pytest.raises(InputError, match="adjuster with parameters to learn"):
        Lookahead().hypergradient(
            model, torch.optim.SGD(model.parameters(), lr=0.1), other, [batch], batch
        )


def test_saving_and_loading_leave_everything_else_alone(tmp_path: Path):
    criterion = learned(conditioner=MovingAverage(Margin()))
    answers(criterion)
    state, rng = states.of_module(criterion), torch.get_rng_state()
    save_adjuster(tmp_path, criterion)
    assert states.same(states.of_module(criterion), state)
    assert torch.equal(torch.get_rng_state(), rng)


def test_memories_of_samples_are_not_saved(tmp_path: Path):
    """They belong to the training set; the next one has other samples."""
    criterion = learned(conditioner=MovingAverage(Margin()))
    answers(criterion)
    save_adjuster(tmp_path, criterion)
    assert len(load_adjuster(tmp_path).conditioner.memory) == 0


# Snapshots


def snapshots(criterion: AdjustedLoss, count: int) -> list[dict[str, Tensor]]:
    """Return states of the adjuster as it changes."""
    taken = []
    for _ in range(count):
        taken.append(copy.deepcopy(criterion.adjuster.state_dict()))
        with torch.no_grad():
            for parameter in criterion.adjuster.parameters():
                parameter.add_(0.3)
    return taken


@pytest.mark.parametrize("until", [(1.0,), (1 / 3, 2 / 3, 1.0), (0.1, 0.2, 0.7, 1)])
def test_progress_moves_the_snapshots(until: tuple[float, ...], tmp_path: Path):
    criterion = learned(SL(), Concat([Margin(), Progress()]))
    taken = snapshots(criterion, len(until))
    save_adjuster(tmp_path, criterion, list(zip(until, taken, strict=True)))
    loaded = load_adjuster(tmp_path)
    outputs, targets = torch.randn(6, CLASSES), torch.arange(6) % CLASSES
    told = [0.0, 0.15, 1 / 3, 0.5, 2 / 3, 0.9, 1.0]
    for fraction in (None, *told, 0.0):
        if fraction is not None:
            loaded.progress(fraction)
            criterion.progress(fraction)
        now = 1.0 if fraction is None else fraction
        k = next((k for k, end in enumerate(until) if now < end), len(until) - 1)
        criterion.adjuster.load_state_dict(taken[k])
        assert torch.equal(
            loaded.per_sample(outputs, targets).hparams,
            criterion.per_sample(outputs, targets).hparams,
        )


def test_without_snapshots_it_is_the_adjuster_as_it_is(tmp_path: Path):
    criterion = learned()
    save_adjuster(tmp_path, criterion)
    loaded = load_adjuster(tmp_path)
    assert isinstance(loaded.adjuster, ScheduledAdjuster)
    assert len(loaded.adjuster.adjusters) == 1
    for fraction in (0.0, 0.5, 1.0):
        loaded.progress(fraction)
        assert same(loaded, criterion)


def test_arguments_that_are_numbers_of_numpy(tmp_path: Path):
    groups = np.array([0, 2, 1, 1, 0], dtype=np.int32)
    conditioner = Concat([MovingAverage(Margin(), np.float32(0.5)), ClassGroup(3, groups)])
    criterion = learned(SL(A=np.float32(-6.0)), conditioner)
    save_adjuster(tmp_path, criterion)
    assert same(load_adjuster(tmp_path), criterion)


# What cannot be saved


@pytest.mark.parametrize(
    "criterion",
    [
        AdjustedLoss(GCE(), Flipped(torch.zeros(3).bool()), OracleAdjuster(GCE().hyperparameters)),
        AdjustedLoss(GCE(), Flipped(torch.zeros(3).bool()), Adjuster(1, GCE().hyperparameters)),
        AdjustedLoss(GCE(), None, constant(0.5)),
    ],
    ids=["oracle", "flipped", "constant"],
)
def test_what_json_cannot_hold_is_refused_and_nothing_is_written(
    criterion: AdjustedLoss, tmp_path: Path
):
    with pytest.raises(InputError, match=r"arguments that JSON can hold, got Tensor"):
        save_adjuster(tmp_path / "new", criterion)
    assert contents(tmp_path) == {}


# What else is written


def test_the_card_can_be_read_by_people(tmp_path: Path):
    about = {"data": "digits", "noise": {"kind": "symmetric", "rate": 0.4}, "epochs": 30}
    criterion = learned(PolySoft(), MovingAverage(Margin(), decay=0.5))
    save_adjuster(tmp_path / "a" / "b", criterion, about=about)
    assert set(contents(tmp_path / "a" / "b")) == {"card.json", "adjuster.safetensors"}
    card = json.loads((tmp_path / "a" / "b" / "card.json").read_text())
    assert card["about"] == about
    assert card["loss"] == {"type": "PolySoft", "args": {}}
    assert card["conditioner"]["args"]["decay"] == 0.5
    assert card["adjuster"] == {"type": "Adjuster", "args": {"num_features": 1, "hidden": 7}}
    assert card["hyperparameters"] == [["lam", 0.0, 10.0], ["d", 1.1, 5.0]]


def test_from_pretrained_is_the_way_in(tmp_path: Path):
    assert metaloss.from_pretrained is from_pretrained
    criterion = learned()
    save_adjuster(tmp_path, criterion)
    for path in (tmp_path, str(tmp_path)):
        assert same(metaloss.from_pretrained(path), criterion)
    for path in (tmp_path / "nothing", tmp_path / "card.json", "no-such-name"):
        with pytest.raises(InputError, match="expected the folder of a saved adjuster"):
            metaloss.from_pretrained(path)


def test_loading_draws_no_random_numbers(tmp_path: Path):
    save_adjuster(tmp_path, learned())
    before = torch.get_rng_state()
    metaloss.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_in_double_precision_by_default(tmp_path: Path):
    save_adjuster(tmp_path, learned())
    torch.set_default_dtype(torch.float64)
    try:
        criterion = metaloss.from_pretrained(tmp_path)
        own = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        outputs, targets = torch.randn(5, 4), torch.arange(5) % 4
        for each in (criterion, own):
            assert each(outputs, targets).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
