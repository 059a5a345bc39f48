"""The network of a run, made from its seed."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn

from metaloss.experiments.makers import fresh


def test_a_network_that_numpy_draws_depends_on_the_seed_alone() -> None:
    def drawn_by_numpy() -> nn.Module:
        layer = nn.Linear(2, 2)
        layer.weight.data = torch.from_numpy(np.random.rand(2, 2))  # noqa: NPY002
        layer.bias.data = torch.tensor([random.random(), 0.0])
        return layer

    ours, theirs, other = (fresh(drawn_by_numpy, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not any(torch.equal(ours[name], other[name]) for name in ours)
