"""Grids of test cases: plain ``pytest`` runs a few of them, ``pytest -m ""`` runs all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def mostly_exhaustive(cases: Mapping[str, Any] | Iterable[str], *few: str) -> list[ParameterSet]:
    """Mark all cases but a few as exhaustive.

    Args:
        cases: the values by name, or only the names.
        few: the names of the cases that plain ``pytest`` runs.

    Returns:
        Parameters for ``pytest.mark.parametrize``, with the names as ids.
    """
    by_name = cases if isinstance(cases, Mapping) else {name: name for name in cases}
    assert set(few) <= set(by_name), sorted(set(few) - set(by_name))
    return [
        pytest.param(case, id=name, marks=() if name in few else pytest.mark.exhaustive)
        for name, case in by_name.items()
    ]
