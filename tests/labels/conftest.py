"""Small runs of digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.labels.runs import CE, GCE, NO_NOISE, train


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GCE on digits with 40% symmetric noise, for ten epochs."""
    place = tmp_path_factory.mktemp("noisy") / "run"
    return train(place, "experiments/demo.gin", GCE, "EPOCHS = 10", files=["models/mlp.gin"])


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cross entropy on digits as they are: nobody knows which labels are wrong."""
    place = tmp_path_factory.mktemp("quick") / "run"
    mlp = ["models/mlp.gin"]
    return train(place, "experiments/demo.gin", CE, NO_NOISE, "EPOCHS = 2", files=mlp)
