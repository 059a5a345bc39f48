"""What all tests share."""

from __future__ import annotations

import jaxtyping
import pytest
import torch

import tests.helpers.typechecked  # noqa: F401 - named in pyproject.toml, which does not import it

# The tests' tensors are small: threads would only get in one another's way.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _types_checked_unless_bad(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes are checked as types in every test, but for those that hand in bad ones on purpose."""
    if request.node.get_closest_marker("bad_input"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)
