"""Other libraries' lines give the hypergradient that ours give."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

PATH = Path(__file__).parents[2] / "docs" / "examples" / "coming_from.py"
SPEC = importlib.util.spec_from_file_location("coming_from", PATH)
coming_from = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(coming_from)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", ["higher", "torchopt", "learn2learn"])
@pytest.mark.parametrize("live", [False, True])
def test_the_lines_of_other_libraries(library: str, live: bool) -> None:
    pytest.importorskip(library)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = coming_from.meta_weight_net().double()
    batch, clean = ((torch.randn(n, 5).double(), torch.randint(3, (n,))) for n in (12, 6))
    if live:  # the optimizer has a momentum already
        criterion(model(batch[0]), batch[1]).backward()
        optimizer.step()
    before = copy.deepcopy(model.state_dict())
    theirs = getattr(coming_from, f"with_{library}")(model, optimizer, criterion, batch, clean)
    assert all(torch.equal(before[name], p) for name, p in model.state_dict().items())
    ours = coming_from.with_metaloss(model, optimizer, criterion, batch, clean)
    assert not any(torch.equal(before[name], p) for name, p in model.state_dict().items())
    same = all(torch.allclose(a, b, rtol=1e-9, atol=0) for a, b in zip(ours, theirs, strict=True))
    # The page says so: higher alone knows the momentum that the real optimizer has by now.
    assert same == (library == "higher" or not live)
