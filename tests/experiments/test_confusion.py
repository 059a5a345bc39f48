"""The test samples of a run by true class and prediction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from metaloss.checks import InputError
from metaloss.experiments import RunFolder, Searched, read_confusion
from metaloss.experiments.records.run_records import RunRecords
from metaloss.losses import GCE
from metaloss.training import evaluate
from tests.experiments.runs import experiment, stopped
from tests.helpers.tasks import blobs


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> RunRecords:
    folder = tmp_path_factory.mktemp("confusion") / "run"
    experiment().run(RunFolder(folder))
    return RunRecords(folder / "A/seed-0")


def test_the_counts_are_those_of_the_final_network(records: RunRecords) -> None:
    model = nn.Linear(5, 3)
    model.load_state_dict(records.read_tensors("model"))
    found = read_confusion(records)
    assert found is not None and found.classes == ("0", "1", "2")
    expected = evaluate(model, blobs().test, confusion=True)
    assert found.counts.tolist() == expected.confusion.tolist()  # type: ignore[union-attr]
    last = json.loads((records.path / "metrics.jsonl").read_text().splitlines()[-1])
    right = 100 * found.counts.trace() / found.counts.sum()
    assert last["test_accuracy"] == pytest.approx(float(right))


def test_a_resumed_run_writes_the_same(records: RunRecords, tmp_path: Path) -> None:
    stopped(RunFolder(tmp_path / "run"))
    path = tmp_path / "run/A/seed-0/confusion.json"
    assert not path.exists()
    experiment().run(RunFolder(tmp_path / "run", resume=True))
    assert path.read_bytes() == (records.path / "confusion.json").read_bytes()


def test_a_search_has_those_of_the_chosen_run(tmp_path: Path) -> None:
    method = Searched(name="GCE", loss=GCE(), grid={"q": (0.05, 0.95)})
    experiment(methods=[method]).run(RunFolder(tmp_path / "run"))
    own = tmp_path / "run/GCE/seed-0"
    chosen = json.loads((own / "result.json").read_text())["values"]["q"]
    kept = own / f"preliminary/q-{chosen:g}/confusion.json"
    assert (own / "confusion.json").read_bytes() == kept.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"classes": ["a", "b"], "counts": [[1, 2]]}',
        '{"classes": ["a"], "counts": [[-1]]}',
        '{"classes": ["a"], "counts": [[0.5]]}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    assert read_confusion(RunRecords(tmp_path)) is None
    (tmp_path / "confusion.json").write_text(text)
    with pytest.raises(InputError, match=r"confusion.json: expected"):
        read_confusion(RunRecords(tmp_path))
