"""Derived families: fixed hyperparameters and other ranges."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError, require
from metaloss.experiments.methods.conventional import baselines
from metaloss.losses import (
    GCE,
    JS,
    SL,
    Barron,
    CrossEntropy,
    Fixed,
    Hyperparameter,
    LossFamily,
    PolySoft,
    Ranged,
    toward_defaults,
)
from metaloss.losses.derived import widest
from tests.losses.cases import moderate


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({"d": 2.0}, ["lam"]),
        ({"lam": 3.0}, ["d"]),
        ({"d": 2.0, "lam": 3.0}, []),
        ({}, ["lam", "d"]),
    ],
)
def test_fixed_fills_in_the_held_columns(values: dict[str, float], left: list[str]):
    outputs, targets, hparams = moderate(PolySoft())
    family = Fixed(PolySoft(), values)
    assert [h.name for h in family.hyperparameters] == left
    names = ["lam", "d"]
    full = hparams.clone()
    for name, value in values.items():
        full[:, names.index(name)] = value
    predicted = hparams[:, [names.index(name) for name in left]]
    assert torch.equal(family(outputs, targets, predicted), PolySoft()(outputs, targets, full))


def test_fixed_declares_the_others_unchanged():
    lam, d = PolySoft().hyperparameters
    assert Fixed(PolySoft(), {"d": 2.0}).hyperparameters == (lam,)
    assert Fixed(PolySoft(), {"lam": 2.0}).hyperparameters == (d,)


def test_fixed_takes_the_ends_of_the_range():
    for h in JS().hyperparameters:
        for value in (h.low, h.high):
            assert Fixed(JS(), {h.name: value}).hyperparameters == ()


def test_fixed_in_fixed_holds_both():
    inner = Fixed(SL(), {"gamma_1": 0.25})
    outer = Fixed(inner, {"gamma_2": 0.5})
    outputs, targets, _ = moderate(SL())
    expected = SL()(outputs, targets, SL().constant(len(targets), (0.25, 0.5), like=outputs))
    assert torch.equal(outer(outputs, targets, outputs[:, :0]), expected)


def test_fixed_does_not_follow_the_dictionary_it_was_given():
    values = {"d": 2.0}
    family = Fixed(PolySoft(), values)
    before = hash(family)
    values["d"] = 3.0
    values["lam"] = 1.0
    assert family == Fixed(PolySoft(), {"d": 2.0})
    assert hash(family) == before
    assert [h.name for h in family.hyperparameters] == ["lam"]


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(d=3.0),
        lambda values: values.__setitem__("d", 3.0),
        lambda values: values.__delitem__("d"),
        lambda values: values.pop("d"),
        lambda values: values.popitem(),
        lambda values: values.setdefault("lam", 1.0),
        lambda values: values.clear(),
        lambda values: values.__ior__({"d": 3.0}),
    ],
    ids=["update", "set", "delete", "pop", "popitem", "setdefault", "clear", "ior"],
)
def test_the_held_values_cannot_be_changed(change):
    family = Fixed(PolySoft(), {"d": 2.0})
    with pytest.raises((TypeError, AttributeError)):
        change(family.values)
    assert family == Fixed(PolySoft(), {"d": 2.0})


def test_families_differ_by_what_they_hold():
    assert Fixed(PolySoft(), {"d": 2.0}) != Fixed(PolySoft(), {"d": 3.0})
    assert Fixed(PolySoft(), {"d": 2.0}) != Fixed(PolySoft(), {"lam": 2.0})
    assert Ranged(GCE(), {"q": (0.0, 0.5)}) != Ranged(GCE(), {"q": (0.0, 0.6)})
    assert SL(A=-4.0) != SL(A=-5.0)


def test_equal_families_hash_alike_whatever_the_order_of_their_values():
    one = Fixed(PolySoft(), {"d": 2.0, "lam": 3.0})
    other = Fixed(PolySoft(), {"lam": 3.0, "d": 2.0})
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("loss", "ranges", "words"),
    [
        (JS(), {"pi_1": (0.1, 1.0)}, "pi_1: .*JS and its derivatives are finite, .*ends at 1"),
        (PolySoft(), {"d": (1.0, 5.0)}, "d: .*PolySoft .*ends at 1"),
        (Barron(), {"alpha": (-4.0, 2.0)}, "alpha: .*Barron .*ends at 2"),
        (GCE(), {"q": 0.5}, r"q: expected a range \(low, high\), got 0.5"),
        (GCE(), {"q": ("0", "1")}, r"q: expected a range \(low, high\), got \('0', '1'\)"),
    ],
)
@pytest.mark.bad_input
def test_ranges_where_a_loss_is_not_defined(loss, ranges, words: str):
    with pytest.raises(InputError, match=words):
        Ranged(loss, ranges)


def test_a_wider_range_of_a_loss_for_other_classes_is_not_tried():
    class OfFour(GCE):
        def per_sample(self, outputs, targets, hparams):
            require(outputs.shape[1] == 4, "expected 4 classes")
            return super().per_sample(outputs, targets, hparams)

    assert Ranged(OfFour(), {"q": (0.0, 2.0)}).hyperparameters[0].high == 2.0


@pytest.mark.bad_input
def test_fixed_values_are_numbers():
    with pytest.raises(InputError, match=r"q: expected a number in \[0, 1\], got '0.5'"):
        Fixed(GCE(), {"q": "0.5"})


def test_ranged_replaces_only_the_named_range():
    lam, d = PolySoft().hyperparameters
    ranged = Ranged(PolySoft(), {"lam": (1.0, 6.0)})
    new_lam, same_d = ranged.hyperparameters
    assert (new_lam.name, new_lam.low, new_lam.high) == ("lam", 1.0, 6.0)
    assert new_lam.default == lam.default
    assert same_d == d


@pytest.mark.parametrize(
    ("low", "high", "default"), [(0.8, 0.9, 0.8), (0.1, 0.2, 0.2), (0.1, 0.9, 0.7)]
)
def test_ranged_moves_what_falls_outside_to_the_nearer_end(low, high, default):
    (h,) = Ranged(GCE(), {"q": (low, high)}).hyperparameters
    assert h.default == default
    assert (h.clean, h.noisy) == (low, high)


def test_ranged_leaves_the_loss_alone():
    arguments = moderate(GCE())
    assert torch.equal(Ranged(GCE(), {"q": (0.4, 0.5)})(*arguments), GCE()(*arguments))


def test_a_new_range_binds_what_may_be_held():
    wide = Ranged(PolySoft(), {"lam": (0.0, 50.0)})
    assert Fixed(wide, {"lam": 40.0}).hyperparameters == wide.hyperparameters[1:]


def test_a_value_is_moved_to_the_nearer_end_of_another_range():
    h = Hyperparameter("q", 0.0, 1.0, default=0.7)
    assert h.within(0.0, 0.5) == Hyperparameter("q", 0.0, 0.5, default=0.5)
    assert h.within(0.8, 0.9).default == 0.8


def test_tables_call_it_by_its_family():
    held = Fixed(Ranged(PolySoft(), {"lam": (1.0, 6.0)}), {"d": 2.0})
    assert PolySoft().family == held.family == "PolySoft"
    rows = baselines([held, GCE()])
    assert [row.name for row in rows] == ["CE", "PolySoft", "GCE"]


@pytest.mark.parametrize("loss", [GCE(), PolySoft(), Ranged(PolySoft(), {"lam": (3.0, 5.0)})])
def test_toward_the_defaults_ranges_shrink_around_them(loss: LossFamily):
    half = toward_defaults(loss, 0.5)
    assert half.defaults == loss.defaults
    for wide, narrow in zip(loss.hyperparameters, half.hyperparameters, strict=True):
        assert narrow.low == pytest.approx((wide.low + wide.default) / 2)
        assert narrow.high == pytest.approx((wide.high + wide.default) / 2)
    assert toward_defaults(loss, 1.0) is loss
    assert toward_defaults(CrossEntropy(), 0.5) == CrossEntropy()


def test_the_widest_has_the_same_defaults():
    narrow = Ranged(Ranged(GCE(), {"q": (0.2, 0.9)}), {"q": (0.5, 0.8)})
    assert widest(narrow) == GCE()
    moved = Ranged(GCE(), {"q": (0.1, 0.5)})
    assert widest(moved) == moved
    assert widest(GCE()) == GCE()
