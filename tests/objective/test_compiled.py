"""The criterion under ``torch.compile``."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a Python of its own: the tests' checks of types cannot be traced.
PROGRAM = """
import torch, metaloss
plain, again = (metaloss.from_pretrained("gce-fashion-mnist-context") for _ in range(2))
compiled = torch.compile(again, backend="eager", fullgraph=True)
targets, index = torch.arange(30) % 10, torch.arange(30)
for criterion in (plain, again):
    criterion.prepare(targets, 10)
for _ in range(3):
    outputs = torch.randn(30, 10, requires_grad=True)
    values = [criterion(outputs, targets, index) for criterion in (plain, compiled)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, outputs)[0] for value in values))
kept = (criterion.conditioner.conditioners[1].memory for criterion in (plain, again))
assert torch.equal(*kept)
print("as one graph")
"""


@pytest.mark.exhaustive
def test_it_compiles_in_one_piece_and_remembers_as_it_does_uncompiled() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout == "as one graph\n", done.stderr
