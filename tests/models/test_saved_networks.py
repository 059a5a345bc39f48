"""A network that was saved, and the first weights of a seed, stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest
import torch
from torch import nn

from metaloss import models

# The network, a digest of its tensors' names in order, the sum of their absolute values at seed 0.
CASES = {
    "resnet8": (lambda: models.resnet8(5, width=4), "61073707df2f", 654.059250),
    "resnet34": (lambda: models.resnet34(5, width=2), "ce80152e32cf", 2960.223849),
    "preact_resnet18": (lambda: models.preact_resnet18(5, width=2), "44f2e0358e7a", 1486.681341),
    "small_cnn": (lambda: models.SmallCNN(3, 5, width=4), "02f70452468e", 228.984399),
    "lenet": (lambda: models.LeNet(3, 5, size=16, width=4, hidden=12), "243b150c507e", 162.322095),
    "mlp": (lambda: models.MLP(6, 5, hidden=(4, 3)), "72442ac593da", 15.538216),
}


@pytest.mark.parametrize(("build", "names", "total"), CASES.values(), ids=CASES)
def test_names_and_first_weights(build: Callable[[], nn.Module], names: str, total: float) -> None:
    torch.manual_seed(0)
    state = build().state_dict()
    assert sha256(" ".join(state).encode()).hexdigest()[:12] == names
    found = sum(float(value.double().abs().sum()) for value in state.values())
    assert found == pytest.approx(total, rel=1e-6)
