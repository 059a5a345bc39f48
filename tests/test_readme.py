"""What the README and the first pages of the documentation show runs as it stands."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

import metaloss

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NO_CLEAN_SET = (ROOT / "docs" / "start" / "no-clean-set.md").read_text()


def block(page: str, holds: str) -> str:
    """The one block of Python on a page that holds these words."""
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (found,) = [code for code in blocks if holds in code]
    return found.replace("num_classes=10", "num_classes=3")  # the networks here have three


LOOP = block(README, "lookback.step(")


def test_the_two_commands_stand_there_as_promised() -> None:
    assert "\npip install -r requirements.txt && metaloss demo\n" in README
    assert "\npip install -r tests/requirements.txt && pytest\n" in README


class Passes(RandomSampler):
    """Writes down the order of each pass."""

    def __init__(self, data: TensorDataset) -> None:
        super().__init__(data)
        self.orders: list[list[int]] = []

    def __iter__(self) -> Iterator[int]:
        self.orders.append(list(super().__iter__()))
        return iter(self.orders[-1])


def samples(count: int) -> TensorDataset:
    inputs = torch.randn(count, 5)
    return TensorDataset(inputs, inputs[:, :3].argmax(dim=1))


def test_the_loop_runs_and_moves_the_network_and_the_adjuster() -> None:
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    before = copy.deepcopy(model.state_dict())
    clean = samples(8)
    passes = Passes(clean)
    names = {
        "model": model,
        # 55 steps: six meta steps, on a clean set of two batches.
        "noisy_loader": DataLoader(samples(220), batch_size=4, shuffle=True),
        "clean_loader": DataLoader(clean, batch_size=4, sampler=passes),
    }
    torch.manual_seed(0)
    exec(LOOP, names)
    assert names["step"] == 54
    # Weight decay alone would move the adjuster too.
    assert all(grad.abs().sum() > 0 for grad in names["grads"].values())
    assert not torch.equal(before["weight"], model.weight)
    theta = names["criterion"].adjuster
    torch.manual_seed(0)  # the adjuster as it was at first: made from the same seed
    fresh = metaloss.recommended(num_classes=3).criterion.adjuster
    assert not torch.equal(fresh.net[2].bias, theta.net[2].bias)
    assert names["optimizer"].state[model.weight]["momentum_buffer"].abs().sum() > 0
    assert len(passes.orders) == 3  # all of the clean samples in each, and in another order
    assert all(sorted(order) == list(range(8)) for order in passes.orders)
    assert len({tuple(order) for order in passes.orders}) > 1


def test_the_loop_without_clean_samples_runs_and_moves_the_adjuster() -> None:
    parts = block(README, "clean=False")
    assert parts == block(NO_CLEAN_SET, "clean=False")
    loop, removed = re.subn(r"(?m)^meta_batches = .*\n", "", LOOP)
    loop, replaced = re.subn(r"(?m)^criterion, .*\n", parts, loop)
    assert removed == replaced == 1
    torch.manual_seed(0)
    names = {
        "model": nn.Linear(5, 3),
        "noisy_loader": DataLoader(samples(220), batch_size=4, shuffle=True),
    }
    torch.manual_seed(0)
    exec(loop, names)
    assert names["step"] == 54
    # Weight decay alone would move the adjuster too.
    assert all(grad.abs().sum() > 0 for grad in names["grads"].values())
    torch.manual_seed(0)
    fresh = metaloss.recommended(num_classes=3, clean=False).criterion.adjuster
    assert not torch.equal(fresh.net[2].bias, names["criterion"].adjuster.net[2].bias)


def test_the_one_line_takes_the_place_of_cross_entropy() -> None:
    torch.manual_seed(0)
    loader, model = DataLoader(samples(40), batch_size=4, shuffle=True), nn.Linear(5, 3)
    names = {"loader": loader, "epochs": 3}
    exec(block(README, "from_pretrained("), names)
    criterion = names["criterion"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    snapshots = []
    for _ in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            snapshots.append(criterion.adjuster.current)
    assert snapshots == sorted(snapshots) and len(set(snapshots)) == 4
    x, y = next(iter(loader))
    criterion.eval()
    assert torch.equal(criterion(model(x), y), nn.functional.cross_entropy(model(x), y))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_its_links_into_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
