"""The criterion under ``torch.compile``."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a Python of its own: the tests' checks of types cannot be traced.
PROGRAM = """
import warnings, torch, metaloss

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

for told in (False, True):
    criterion = metaloss.from_pretrained("gce-fashion-mnist-statistics")
    if told:
        criterion.progress(0.0)
    compiled = torch.compile(criterion, backend="eager", fullgraph=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            compiled(torch.randn(6, 10, requires_grad=True), torch.arange(6)).backward()
    print(sum("criterion.progress" in str(each.message) for each in said), "warnings")

counter = torch._dynamo.testing.CompileCounter()
criterion = metaloss.recommended(3, clean=False).criterion
compiled = torch.compile(criterion, backend=counter)
outputs, targets = torch.randn(6, 3, requires_grad=True), torch.arange(6) % 3
for _ in range(2):  # the first call also looks whether to warn
    compiled(outputs, targets)
graphs = counter.frame_count
criterion(outputs, targets)  # keeps the number of classes
criterion.load_state_dict(criterion.state_dict())  # and forgets it
compiled(outputs, targets)
print(counter.frame_count - graphs, "graphs more")
"""


@pytest.mark.exhaustive
def test_it_compiles_in_one_piece_and_remembers_and_warns_as_it_does_uncompiled() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "as one graph",
        "1 warnings",
        "0 warnings",
        "0 graphs more",
    ], done.stderr
