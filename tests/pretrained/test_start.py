"""Continuing from a saved adjuster."""

from __future__ import annotations

import re

import pytest
import torch

from metaloss import AdjustedLoss, Adjuster, ScheduledAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import Margin, ProbabilityMargin
from metaloss.experiments import Adjusted
from metaloss.losses import GCE, JS, SL, PolySoft, Ranged, toward_defaults
from metaloss.pretrained import from_pretrained, save_adjuster, start_from
from tests.helpers.tasks import blobs


def fresh(loss=None, conditioner=None, **options) -> AdjustedLoss:
    loss, conditioner = loss or GCE(), conditioner or Margin()
    return AdjustedLoss(loss, conditioner, Adjuster.for_loss(loss, conditioner, **options))


@pytest.fixture
def saved(tmp_path):
    """Return the folder of an adjuster with two different snapshots."""
    criterion = fresh()
    early = {name: value + 1 for name, value in criterion.adjuster.state_dict().items()}
    late = criterion.adjuster.state_dict()
    save_adjuster(tmp_path / "saved", criterion, [(0.5, early), (1.0, late)])
    return tmp_path / "saved"


def test_the_last_snapshot_is_taken_and_stays_trainable(saved):
    criterion = fresh()
    start_from(criterion, saved)
    last = from_pretrained(saved).adjuster.adjusters[-1]
    for ours, theirs in zip(criterion.adjuster.parameters(), last.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.requires_grad
    assert not isinstance(criterion.adjuster, ScheduledAdjuster)


def test_a_method_starts_there_each_time(saved):
    method = Adjusted(name="A-GCE", loss=GCE(), start=saved)
    first, second = method.criterion(blobs()), method.criterion(blobs())
    with torch.no_grad():
        first.adjuster.net[0].weight.zero_()
    expected = from_pretrained(saved).adjuster.adjusters[-1].net[0].weight
    assert torch.equal(second.adjuster.net[0].weight, expected)


@pytest.mark.parametrize(
    ("criterion", "part"),
    [
        (fresh(loss=JS()), "loss"),
        (fresh(loss=Ranged(GCE(), {"q": (0.1, 0.9)})), "loss"),
        (fresh(conditioner=ProbabilityMargin()), "conditioner"),
        (fresh(hidden=7), "adjuster"),
    ],
    ids=["loss", "range", "conditioner", "size"],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(saved, criterion, part):
    before = {name: value.clone() for name, value in criterion.adjuster.state_dict().items()}
    with pytest.raises(InputError, match=rf"go on from whose {part} is .*, got \{{'type'"):
        start_from(criterion, saved)
    for name, value in criterion.adjuster.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("loss", [GCE(), SL(), Ranged(PolySoft(), {"lam": (3.4, 10.0)})], ids=repr)
def test_from_half_of_what_was_learned_to_all_of_it(loss, tmp_path):
    learned, criterion = fresh(loss=loss), fresh(loss=loss)
    save_adjuster(tmp_path / "half", learned, strength=0.5)
    start_from(criterion, tmp_path / "half")
    assert torch.equal(criterion.adjuster.net[0].weight, learned.adjuster.net[0].weight)
    assert criterion.loss == loss
    half = fresh(loss=toward_defaults(loss, 0.5))
    start_from(half, tmp_path / "half")
    with pytest.raises(InputError, match="go on from whose loss is"):
        start_from(fresh(loss=toward_defaults(loss, 0.25)), tmp_path / "half")


@pytest.mark.parametrize("initial", ["defaults", "middle"])
def test_where_a_fresh_one_starts_does_not_count(initial, saved):
    """The argument is not saved; the weights are."""
    criterion = fresh(initial=initial)
    start_from(criterion, saved)
    last = from_pretrained(saved).adjuster.adjusters[-1]
    assert torch.equal(criterion.adjuster.net[2].bias, last.net[2].bias)
    save_adjuster(saved, criterion)
    assert "initial" not in (saved / "card.json").read_text()
    again = from_pretrained(saved).adjuster.adjusters[-1]
    assert torch.equal(again.net[2].bias, last.net[2].bias)


def test_half_of_another_loss_is_another_loss(tmp_path):
    """The hyperparameters are the same, but the fixed values differ."""
    save_adjuster(tmp_path / "half", fresh(loss=SL(A=-6.0)), strength=0.5)
    start_from(fresh(loss=SL(A=-6.0)), tmp_path / "half")
    with pytest.raises(InputError, match="go on from whose loss is"):
        start_from(fresh(loss=SL(A=-4.0)), tmp_path / "half")


def test_from_one_that_comes_with_the_package():
    saved = from_pretrained("gce-cifar10-context")
    criterion = fresh(conditioner=saved.conditioner)
    start_from(criterion, "gce-cifar10-context")
    last = saved.adjuster.adjusters[-1]
    assert torch.equal(criterion.adjuster.net[0].weight, last.net[0].weight)


def test_none_of_this_name():
    with pytest.raises(InputError, match=re.escape("nowhere: expected the folder of a saved")):
        Adjusted(name="A-GCE", loss=GCE(), start="nowhere").criterion(blobs())
