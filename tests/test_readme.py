"""What the README shows runs as it stands."""

from __future__ import annotations

import copy
import re
from itertools import cycle
from pathlib import Path

import torch
from torch import nn

from tests.helpers.tasks import blobs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_two_commands_stand_there_as_promised() -> None:
    assert "\npip install -r requirements.txt && metaloss demo\n" in README
    assert "\npip install -r tests/requirements.txt && pytest\n" in README


def test_the_loop_runs_and_moves_the_network_and_the_adjuster() -> None:
    (loop, *_) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    task = blobs()
    model = nn.Linear(5, 3)
    before = copy.deepcopy(model.state_dict())
    names = {
        "model": model,
        "noisy_batches": [batch[:2] for epoch in range(2) for batch in task.train.epoch(epoch)],
        "clean_batches": cycle([batch[:2] for batch in task.meta.epoch(0)]),
    }
    torch.manual_seed(0)
    exec(loop, names)
    assert not torch.equal(before["weight"], model.weight)
    theta = names["criterion"].adjuster
    torch.manual_seed(0)  # the adjuster as it was at first: made from the same seed
    fresh = copy.deepcopy(theta)
    for layer in (fresh.net[0], fresh.net[2]):
        layer.reset_parameters()
    assert not torch.equal(fresh.net[2].bias, theta.net[2].bias)
    assert names["optimizer"].state[model.weight]["momentum_buffer"].abs().sum() > 0


def test_its_links_into_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
