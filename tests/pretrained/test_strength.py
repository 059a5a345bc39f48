"""A learned adjuster at part of its strength."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import metaloss
from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.conditioners import Margin
from metaloss.losses import SL
from metaloss.pretrained import save_adjuster
from tests.pretrained.cases import learned


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.01])
def test_it_scales_the_distance_to_the_defaults(strength: float, tmp_path: Path):
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
    again = tmp_path / "again"  # and it can be saved again
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
