"""A saved adjuster."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloss.pretrained import save_adjuster
from tests.pretrained.cases import learned


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return the folder of a valid adjuster."""
    save_adjuster(tmp_path, learned())
    return tmp_path
