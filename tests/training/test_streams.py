"""Endless streams of batches, and windows of them."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from metaloss.training.streams import stream, windows
from tests.helpers.tasks import blobs


def test_stream_goes_through_epoch_after_epoch() -> None:
    loader = blobs().train
    expected = [b.index for epoch in range(2) for b in loader.epoch(epoch)]
    for start in (0, 1, len(loader), len(loader) + 2):
        got = islice(stream(loader, start), len(expected) - start)
        assert all(torch.equal(a.index, b) for a, b in zip(got, expected[start:], strict=True))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_windows_slide(size: int) -> None:
    got = list(windows(iter(range(5)), size))
    assert got == [list(range(k, k + size)) for k in range(6 - size)]
