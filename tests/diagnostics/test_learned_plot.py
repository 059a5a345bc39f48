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

NO_ONE, EVERY_ONE = torch.zeros(20, dtype=torch.bool), torch.ones(20, dtype=torch.bool)
RANDOM = torch.rand(20, 1, generator=torch.Generator().manual_seed(0))


def learned(flipped: Tensor | None, hparams: Tensor) -> Learned:
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    samples = {"margin": torch.linspace(-2, 2, 20), "hparams": hparams}
    return Learned(
        "A-GCE", criterion, samples if flipped is None else samples | {"flipped": flipped}
    )


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("flipped", "hparams"),
    [
        (None, RANDOM),
        (torch.arange(20) < 5, RANDOM),
        (NO_ONE, torch.full((20, 1), 0.0)),
        (NO_ONE, torch.full((20, 1), 1.0000001)),
        (EVERY_ONE, torch.full((20, 1), 1.0)),
    ],
)
def test_whichever_labels_are_wrong(
    flipped: Tensor | None, hparams: Tensor, tmp_path: Path
) -> None:
    """Hyperparameters may all be at an end of their range."""
    draw_learned([learned(flipped, hparams)], tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(OSError, match=r"picture\.png"):
        draw_learned([learned(None, RANDOM)], tmp_path / "picture.png")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
