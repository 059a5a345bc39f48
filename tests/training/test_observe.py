"""An observer that passes everything on."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from metaloss.training.observe import Forwarding, Observer


@pytest.mark.parametrize("name", [name for name in vars(Observer) if not name.startswith("_")])
def test_it_is_passed_on(name: str) -> None:
    other = Mock(spec=Observer)
    getattr(Forwarding(other), name)("said")
    getattr(other, name).assert_called_once_with("said")
    assert len(other.mock_calls) == 1
