"""The page's example in plain torch predicts what the command does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from metaloss.predict import predict_run, read_network
from tests.predict.runs import Runs

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "plain_torch.py"


def test_plain_torch(runs: Runs) -> None:
    spec = importlib.util.spec_from_file_location("plain_torch", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    place = read_network(runs.one).folder
    found = predict_run(runs.one, runs.images / "test")
    for file, expected in zip(found.ids, found.probabilities.tolist(), strict=True):
        if "03, " in str(file):  # transparent, which the example does not composite
            continue
        p = example.probabilities(place, Path(str(file)))
        assert tuple(p) == found.class_names
        assert list(p.values()) == pytest.approx(expected, abs=1e-5)
