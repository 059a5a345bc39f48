"""Pictures are drawn of whatever labels there are, without a warning (warnings are errors)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import Margin
from metaloss.diagnostics import Learned, draw_learned
from metaloss.losses import GCE

pytestmark = pytest.mark.drawn

NO_ONE, EVERY_ONE = torch.zeros(20, dtype=torch.bool), torch.ones(20, dtype=torch.bool)


def learned(flipped: Tensor | None, hparams: Tensor) -> Learned:
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    samples = {"margin": torch.linspace(-2, 2, 20), "hparams": hparams}
    return Learned(
        "A-GCE", criterion, samples if flipped is None else samples | {"flipped": flipped}
    )


@pytest.mark.parametrize("flipped", [None, NO_ONE, EVERY_ONE, torch.arange(20) < 5])
def test_whichever_labels_are_wrong(flipped: Tensor | None, tmp_path: Path) -> None:
    draw_learned([learned(flipped, torch.rand(20, 1))], tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("value", [0.0, 1.0, 1.0000001])
def test_hyperparameters_at_the_end_of_their_range(value: float, tmp_path: Path) -> None:
    draw_learned([learned(NO_ONE, torch.full((20, 1), value))], tmp_path / "picture.png")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(OSError, match=r"picture\.png"):
        draw_learned([learned(None, torch.rand(20, 1))], tmp_path / "picture.png")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
