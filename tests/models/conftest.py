"""What the tests of the models share."""

from __future__ import annotations

import jaxtyping
import pytest


@pytest.fixture
def without_type_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call as users do: under the checks of a typed test run, those would speak first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
