"""What was saved is what is loaded, to the bit."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import metaloss
from metaloss import (
    AdjustedLoss,
    Adjuster,
    BaseAdjuster,
    GroupedAdjuster,
    InputError,
    OracleAdjuster,
    ScheduledAdjuster,
)
from metaloss.bilevel import Lookahead
from metaloss.conditioners import (
    ClassGroup,
    Concat,
    Conditioner,
    Flipped,
    LossValue,
    Margin,
    MovingAverage,
    Progress,
)
from metaloss.losses import GCE, SL, Fixed, Hyperparameter, LossFamily, PolySoft, Ranged
from metaloss.pretrained import from_pretrained, load_adjuster, save_adjuster
from tests.adjusters.cases import constant
from tests.conditioners.cases import builders
from tests.helpers import states
from tests.losses.cases import families
from tests.pretrained.cases import CLASSES, answers, contents, learned, same

LOSSES = [family for family in families() if family.hyperparameters]
LOSSES.append(Fixed(Ranged(PolySoft(), {"lam": (1.0, 6.0)}), {"d": 3}))
CONDITIONERS = {name: build for name, build in builders().items() if name != "Flipped"}


@pytest.mark.parametrize("name", CONDITIONERS)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_every_loss_with_every_conditioner(loss: LossFamily, name: str, tmp_path: Path):
    criterion = learned(loss, CONDITIONERS[name](CLASSES))
    save_adjuster(tmp_path, criterion)
    loaded = load_adjuster(tmp_path)
    assert loaded.loss == loss
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
    """They are of the set that was trained on; the next one has others."""
    criterion = learned(conditioner=MovingAverage(Margin()))
    answers(criterion)
    save_adjuster(tmp_path, criterion)
    assert len(load_adjuster(tmp_path).conditioner.memory) == 0


# Snapshots


def snapshots(criterion: AdjustedLoss, count: int) -> list[dict[str, Tensor]]:
    """States of the adjuster as it changes."""
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


# Parts of the user's own


@dataclass(frozen=True)
class Focused(LossFamily):
    """Focused loss, with a factor."""

    hyperparameters: ClassVar = (Hyperparameter("gamma", low=0.0, high=5.0, default=2.0),)
    factor: float = 1.0

    def per_sample(self, outputs, targets, hparams):
        log_p = outputs.log_softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
        return -self.factor * ((1 - log_p.exp()) ** hparams[:, 0]) * log_p


class Entropy(Conditioner):
    """The entropy of the softmax at a temperature."""

    num_features = 1

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, outputs, targets, index=None):
        p = (outputs / self.temperature).softmax(1)
        return -(p * p.log()).sum(1, keepdim=True)


class Linear(BaseAdjuster):
    """Not even a hidden layer."""

    def __init__(self, hyperparameters, num_features: int, bias: bool = True) -> None:
        super().__init__(hyperparameters)
        self.num_features = num_features
        self.bias = bias
        self.net = nn.Linear(num_features, len(self.hyperparameters), bias=bias)

    def forward(self, features):
        return self.bounded(self.net(features))


def of_ones_own() -> AdjustedLoss:
    loss, conditioner = Focused(factor=2.5), Concat([MovingAverage(Entropy(3.0)), Margin()])
    return AdjustedLoss(loss, conditioner, Linear(loss.hyperparameters, 2, bias=False))


@pytest.mark.parametrize("load", [load_adjuster, from_pretrained])
def test_parts_of_ones_own_are_named_when_loading(load, tmp_path: Path):
    save_adjuster(tmp_path, of_ones_own())
    loaded = load(tmp_path, components=[Focused, Entropy, Linear])
    assert loaded.loss == Focused(factor=2.5)
    assert loaded.conditioner.conditioners[0].conditioner.temperature == 3.0
    torch.manual_seed(0)
    criterion = of_ones_own()
    criterion.adjuster.load_state_dict(loaded.adjuster.adjusters[0].state_dict())
    assert same(loaded, criterion)


@pytest.mark.parametrize("missing", [Focused, Entropy, Linear])
def test_a_part_of_ones_own_that_is_not_named(missing: type, tmp_path: Path):
    save_adjuster(tmp_path, of_ones_own())
    given = [cls for cls in (Focused, Entropy, Linear) if cls is not missing]
    with pytest.raises(InputError, match=rf"'{missing.__name__}' is not known here.*components="):
        load_adjuster(tmp_path, components=given)


def namesake(of: type) -> type:
    """A class of one's own that is called as one of the package's."""
    return type(of.__name__, (of,), {})


@pytest.mark.parametrize("of", [Margin, GCE, Adjuster])
def test_a_part_of_ones_own_with_the_name_of_another_is_refused(of: type, tmp_path: Path):
    """A card that names it would be read as one that names the package's."""
    parts = [namesake(cls) if cls is of else cls for cls in (GCE, Margin, Adjuster)]
    loss, conditioner, adjuster = parts[0](), parts[1](), parts[2]
    criterion = AdjustedLoss(loss, conditioner, adjuster.for_loss(loss, conditioner))
    with pytest.raises(InputError, match=rf"{of.__name__}: expected .*a name that none .*rename"):
        save_adjuster(tmp_path / "new", criterion)
    assert not (tmp_path / "new").exists()
    save_adjuster(tmp_path, learned())
    with pytest.raises(InputError, match=rf"{of.__name__}: expected .*rename"):
        load_adjuster(tmp_path, components=[namesake(of)])


def test_two_parts_of_ones_own_with_one_name(tmp_path: Path):
    save_adjuster(tmp_path, of_ones_own())
    other = namesake(Focused)
    with pytest.raises(InputError, match="components: expected classes of different names"):
        load_adjuster(tmp_path, components=[Focused, Entropy, Linear, other])
    load_adjuster(tmp_path, components=[Focused, Entropy, Linear, Focused])


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


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.01])
def test_at_a_strength_it_is_so_much_nearer_to_the_defaults(strength: float, tmp_path: Path):
    conditioner = Margin()
    criterion = AdjustedLoss(SL(), conditioner, Adjuster.for_loss(SL(), conditioner))
    save_adjuster(tmp_path, criterion)
    outputs, targets = 5 * torch.randn(50, 4), torch.arange(50) % 4
    learned_to_be = criterion.hparams(outputs, targets)
    defaults = torch.tensor(SL().defaults)
    found = metaloss.from_pretrained(tmp_path, strength=strength)
    torch.testing.assert_close(
        found.hparams(outputs, targets), defaults + strength * (learned_to_be - defaults)
    )
    assert found.loss.family == "SL"
    again = tmp_path / "again"  # and so it can be saved
    save_adjuster(again, found)
    assert torch.equal(
        metaloss.from_pretrained(again).hparams(outputs, targets), found.hparams(outputs, targets)
    )


@pytest.mark.bad_input
@pytest.mark.parametrize("strength", [0, -0.5, 1.5, float("nan"), "0.5", True])
def test_a_strength_out_of_range(strength: float, tmp_path: Path):
    save_adjuster(tmp_path, learned())
    with pytest.raises(InputError, match=r"^strength: expected a number in \(0, 1\], got"):
        metaloss.from_pretrained(tmp_path, strength=strength)


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


class Looks(Adjuster):
    """One whose constructor looks at values."""

    def __init__(self, num_features, hyperparameters, hidden=5) -> None:
        super().__init__(num_features, hyperparameters, hidden)
        self.width = (self.high - self.low).max().item()


def test_a_constructor_may_look_at_values(tmp_path: Path):
    criterion = AdjustedLoss(GCE(), Margin(), Looks(1, GCE().hyperparameters))
    save_adjuster(tmp_path, criterion)
    found = metaloss.from_pretrained(tmp_path, components=[Looks])
    outputs, targets = torch.randn(5, 4), torch.arange(5) % 4
    assert torch.equal(found.hparams(outputs, targets), criterion.hparams(outputs, targets))
