"""An adjuster that could not be saved is found before its training, and not at the end of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from metaloss import InputError
from metaloss.conditioners import Conditioner, Margin
from metaloss.experiments import Adjusted, Conventional, RunFolder
from metaloss.losses import GCE
from tests.experiments.runs import experiment

pytestmark = pytest.mark.bad_input


class Scaled(Conditioner):
    """Keeps its argument under another name."""

    num_features = 1

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.factor = scale

    def forward(self, outputs: Tensor, targets: Tensor, index: Tensor | None = None) -> Tensor:
        return self.factor * Margin()(outputs, targets)


class Shifted(Conditioner):
    """Keeps a tensor, which a card cannot hold."""

    num_features = 1

    def __init__(self, by: Tensor) -> None:
        super().__init__()
        self.by = by

    def forward(self, outputs: Tensor, targets: Tensor, index: Tensor | None = None) -> Tensor:
        return self.by + Margin()(outputs, targets)


@pytest.mark.parametrize(
    ("conditioner", "found"), [(Scaled(2.0), "named scale"), (Shifted(torch.ones(1)), "Tensor")]
)
def test_an_adjuster_that_could_not_be_saved(tmp_path: Path, conditioner, found: str):
    method = Adjusted(name="own", loss=GCE(), conditioner=conditioner)
    with pytest.raises(InputError, match=f"own: .*constructor argument.*{found}"):
        experiment(methods=[method]).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_what_is_not_saved_need_not_be_savable():
    experiment(methods=[Conventional(name="GCE", loss=GCE())]).check()
