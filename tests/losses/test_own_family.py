"""A family defined outside the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from metaloss.checks import InputError
from metaloss.losses import Fixed, Hyperparameter, LossFamily, Ranged
from tests.losses.cases import moderate


@dataclass(frozen=True)
class Focal(LossFamily):
    """Focal loss, ``-(1 - f_y)^gamma log f_y``."""

    hyperparameters: ClassVar = (Hyperparameter("gamma", low=0.0, high=5.0, default=2.0),)

    def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        log_p = outputs.log_softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
        return -((1 - log_p.exp()) ** hparams[:, 0]) * log_p


def by_hand(outputs: Tensor, targets: Tensor, gamma: list[float]) -> Tensor:
    p = torch.softmax(outputs, dim=1)[torch.arange(len(targets)), targets]
    return torch.stack([-((1 - p_i) ** g) * p_i.log() for p_i, g in zip(p, gamma, strict=True)])


def test_it_gives_its_loss():
    outputs, targets, hparams = moderate(Focal())
    expected = by_hand(outputs, targets, hparams[:, 0].tolist())
    torch.testing.assert_close(Focal()(outputs, targets, hparams), expected)
    assert Focal().defaults == (2.0,)


def test_it_is_given_what_has_been_checked_and_made_full_precision():
    outputs, targets, hparams = moderate(Focal())
    assert Focal()(outputs.bfloat16(), targets, hparams.bfloat16()).dtype == torch.float32
    with pytest.raises(InputError, match=r"hparams of Focal: expected .*\(gamma\)"):
        Focal()(outputs, targets, hparams[:, :0])
    with pytest.raises(InputError, match="targets"):
        Focal()(outputs, targets.int(), hparams)


def test_it_can_be_held_and_ranged():
    outputs, targets, _ = moderate(Focal())
    held = Fixed(Focal(), {"gamma": 3.0})
    expected = by_hand(outputs, targets, [3.0] * len(targets))
    torch.testing.assert_close(held(outputs, targets, outputs[:, :0]), expected)
    assert Ranged(Focal(), {"gamma": (0.5, 1.0)}).defaults == (1.0,)


def test_a_family_without_a_loss_is_abstract():
    @dataclass(frozen=True)
    class Unfinished(LossFamily):
        hyperparameters: ClassVar = ()

    with pytest.raises(TypeError, match="abstract"):
        Unfinished()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (lambda losses, h: h * losses, r"\[4, 4\]"),  # broadcasts
        (lambda losses, h: (h[:, 0] * losses)[:, None], r"\[4, 1\]"),
        (lambda losses, h: (h[:, 0] * losses).mean(), r"float64 \[\]"),
        (lambda losses, h: (h[:, 0] * losses).tolist(), "a list"),
    ],
    ids=["broadcast", "column", "reduced", "list"],
)
def test_a_loss_that_is_not_one_for_each_sample_is_refused(wrong, got: str):
    @dataclass(frozen=True)
    class Wrong(LossFamily):
        hyperparameters: ClassVar = (Hyperparameter("weight", 0.0, 1.0, default=0.5),)

        def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
            return wrong(
                torch.nn.functional.cross_entropy(outputs, targets, reduction="none"), hparams
            )

    outputs, targets, hparams = torch.zeros(4, 3).double(), torch.arange(4) % 3, torch.ones(4, 1)
    with pytest.raises(InputError, match=r"Wrong\.per_sample: expected .* \[4\], got .*" + got):
        Wrong()(outputs, targets, hparams.double())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("low", "high", "default"),
    [(0.0, float("inf"), 1.0), (float("nan"), 1.0, 0.5), ("0", "1", "0.5"), (1.0, 1.0, 1.0)],
)
def test_a_range_that_no_adjuster_can_cover_is_refused(low, high, default):
    with pytest.raises(InputError, match="weight: expected "):
        Hyperparameter("weight", low, high, default)
