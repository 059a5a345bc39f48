"""A default dtype of half precision, as Lightning's ``precision="bf16-true"`` sets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def half_by_default() -> Iterator[None]:
    """Make bfloat16 torch's default dtype inside the ``with`` block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
