"""Grids of test cases: plain ``pytest`` runs a few of them, ``pytest -m ""`` runs all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
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


def all_pairs(names: str, *axes: Mapping[str, Any] | Iterable[Any]) -> pytest.MarkDecorator:
    """Cross three axes or more: plain ``pytest`` has each two values of two axes in some case.

    A mistake that shows only for three values together is left to the exhaustive cases.

    Args:
        names: the names of the test's arguments, with commas between them.
        axes: the values of each, by name or as they are. Cases with a value of
            :func:`mostly_exhaustive` that is marked are exhaustive.

    Returns:
        The mark for the test: the whole product.
    """
    assert len(names.split(",")) == len(axes) >= 3, "two axes have no fewer cases than pairs"
    values = [[_parameter(value) for value in _items(axis)] for axis in axes]
    cases = list(product(*values))
    always = [case for case in cases if not any(value.marks for value in case)]
    missing = set().union(*map(_pairs, always))
    chosen = []
    while missing:
        chosen.append(max(always, key=lambda case: len(missing & _pairs(case))))
        missing -= _pairs(chosen[-1])
    return pytest.mark.parametrize(
        names,
        [
            pytest.param(
                *(value.values[0] for value in case),
                id="-".join(str(value.id) for value in case),
                marks=() if case in chosen else pytest.mark.exhaustive,
            )
            for case in cases
        ],
    )


def _items(axis: Mapping[str, Any] | Iterable[Any]) -> Iterable[Any]:
    if isinstance(axis, Mapping):
        return [pytest.param(value, id=name) for name, value in axis.items()]
    return axis


def _parameter(value: Any) -> ParameterSet:
    return value if isinstance(value, ParameterSet) else pytest.param(value, id=str(value))


def _pairs(case: tuple[ParameterSet, ...]) -> set[Any]:
    return set(combinations(enumerate(value.id for value in case), 2))
