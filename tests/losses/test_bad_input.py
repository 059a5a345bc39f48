"""Bad input raises an error of one line with what was expected and what was given."""

from __future__ import annotations

import math

import pytest
import torch

from metaloss.checks import InputError
from metaloss.losses import GCE, MAE, SL, Fixed, Hyperparameter, LossFamily, PolySoft, Ranged
from tests.losses.cases import moderate

pytestmark = pytest.mark.bad_input


def refused(action, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in ("expected", *words):
        assert word in message, message


# The checks are the base class's: a family of each number of hyperparameters will do.
@pytest.mark.parametrize("family", [MAE(), GCE(), SL()], ids=str)
class TestCall:
    @pytest.mark.parametrize("extra", [-1, 1])
    def test_hyperparameters_of_another_width(self, family: LossFamily, extra: int):
        outputs, targets, _ = moderate(family)
        width = len(family.hyperparameters) + extra
        if width < 0:
            pytest.skip("it has none to leave out")
        names = [h.name for h in family.hyperparameters]
        hparams = torch.ones(len(targets), width, dtype=torch.float64)
        refused(lambda: family(outputs, targets, hparams), "hparams", f"{width}]", *names)

    def test_hyperparameters_of_another_batch(self, family: LossFamily):
        outputs, targets, hparams = moderate(family)
        refused(lambda: family(outputs, targets, hparams[:-1]), "hparams")
        refused(lambda: family(outputs, targets, hparams[:1]), "hparams")

    def test_hyperparameters_of_another_rank(self, family: LossFamily):
        outputs, targets, hparams = moderate(family)
        refused(lambda: family(outputs, targets, hparams.flatten()), "hparams")
        refused(lambda: family(outputs, targets, hparams[None]), "hparams")

    def test_targets_of_another_kind(self, family: LossFamily):
        outputs, targets, hparams = moderate(family)
        refused(lambda: family(outputs, targets.int(), hparams), "targets", "int64", "int32")
        refused(lambda: family(outputs, targets.double(), hparams), "targets", "float64")
        one_hot = torch.nn.functional.one_hot(targets, outputs.shape[1])
        refused(lambda: family(outputs, one_hot, hparams), "targets", "[6, 4]")
        refused(lambda: family(outputs, targets[:, None], hparams), "targets", "[6, 1]")

    def test_targets_of_another_batch(self, family: LossFamily):
        outputs, targets, hparams = moderate(family)
        refused(lambda: family(outputs, targets[:-1], hparams), "6", "5")

    def test_outputs_of_another_shape(self, family: LossFamily):
        outputs, targets, hparams = moderate(family)
        refused(lambda: family(outputs[:, 0], targets, hparams), "outputs", "[6]")
        refused(lambda: family(outputs[:, :, None], targets, hparams), "outputs", "[6, 4, 1]")
        refused(lambda: family(outputs.long(), targets, hparams), "outputs", "int64")

    def test_one_class(self, family: LossFamily):
        outputs, targets, hparams = moderate(family)
        refused(lambda: family(outputs[:, :1], targets * 0, hparams), "classes", "1")


class TestFixed:
    def test_an_unknown_name(self):
        refused(lambda: Fixed(GCE(), {"p": 0.5}), "GCE", "'p'", "q")

    def test_a_name_already_held(self):
        inner = Fixed(PolySoft(), {"d": 2.0})
        refused(lambda: Fixed(inner, {"d": 3.0}), "'d'", "lam")

    @pytest.mark.parametrize("value", [-0.1, 1.1, math.inf, -math.inf, math.nan])
    def test_a_value_out_of_range(self, value: float):
        refused(lambda: Fixed(GCE(), {"q": value}), "q", "[0, 1]", repr(value))

    def test_a_value_out_of_a_replaced_range(self):
        narrow = Ranged(GCE(), {"q": (0.2, 0.4)})
        refused(lambda: Fixed(narrow, {"q": 0.5}), "q", "[0.2, 0.4]", "0.5")


class TestRanged:
    def test_an_unknown_name(self):
        refused(lambda: Ranged(GCE(), {"p": (0.1, 0.5)}), "GCE", "'p'", "q")

    @pytest.mark.parametrize("limits", [(0.9, 0.1), (0.5, 0.5), (math.nan, 1.0), (0.0, math.nan)])
    def test_a_range_without_width(self, limits: tuple[float, float]):
        refused(lambda: Ranged(GCE(), {"q": limits}), "q", str(limits[0]), str(limits[1]))


class TestHyperparameter:
    @pytest.mark.parametrize("limits", [(1.0, 0.0), (0.5, 0.5), (math.nan, 1.0), (0.0, math.nan)])
    def test_a_range_without_width(self, limits: tuple[float, float]):
        refused(lambda: Hyperparameter("q", *limits, default=0.5), "q", "low < high")

    @pytest.mark.parametrize("default", [-0.1, 1.1, math.nan])
    def test_a_default_out_of_range(self, default: float):
        refused(lambda: Hyperparameter("q", 0.0, 1.0, default=default), "q", "[0", str(default))


class TestSL:
    @pytest.mark.parametrize("a", [0.0, 4.0, math.nan])
    def test_a_constant_that_is_not_negative(self, a: float):
        refused(lambda: SL(A=a), "A", str(a).rstrip("0").rstrip("."))
