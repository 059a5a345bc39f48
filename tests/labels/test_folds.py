"""Every sample is judged by a network that was trained without it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.conditioners import Margin, MovingAverage
from metaloss.experiments import (
    Adjusted,
    Conventional,
    Experiment,
    Method,
    RunFolder,
    RunSettings,
    Searched,
)
from metaloss.labels import run_reader
from metaloss.labels.folds import check_folds, fold_records, out_of_fold, stratified
from metaloss.labels.opening import OpenRun
from metaloss.losses import GCE, CrossEntropy
from metaloss.report.rows import gather
from metaloss.stopping import Stopped
from metaloss.tasks import BatchLoader
from metaloss.tasks.task import Task
from metaloss.training import Observer, Recipe
from tests.labels.runs import CE, invoke, refusal, rows_of, train

SAMPLES = 60
CE_METHOD = Conventional(name="CE", loss=CrossEntropy())
REMEMBERS = Adjusted(name="A-GCE", loss=GCE(), conditioner=MovingAverage(Margin()))


class Marks(nn.Module):
    """Marks the samples that it is trained on, and predicts class 0 for those it has marked.

    The first column of the inputs is the sample's number.
    """

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 3)
        self.register_buffer("seen", torch.zeros(SAMPLES + 1))

    def forward(self, inputs: Tensor) -> Tensor:
        number = inputs[:, 0].long()
        outputs = self.net(inputs[:, 1:])
        if self.training:
            self.seen[number] = 1
            return outputs
        return outputs + 1000 * self.seen[number, None] * torch.tensor([1.0, 0, 0])


def numbered(*, seed: int, device: Any = "cpu") -> Task:
    """A task whose samples carry their number; those that are not trained on share the last one."""
    draw = torch.Generator().manual_seed(seed)

    def loader(count: int, numbers: Tensor) -> BatchLoader:
        inputs = torch.randn(count, 3, generator=draw)
        inputs[:, 0] = numbers
        targets = torch.arange(count) % 3
        return BatchLoader(inputs, targets, 10, seed=seed, device=device)

    own = loader(SAMPLES, torch.arange(SAMPLES))
    meta, test = (loader(30, torch.tensor(SAMPLES)) for _ in range(2))
    return Task("numbered", ("a", "b", "c"), (3,), own, meta, None, test, own.targets, None)


def made(
    folder: Path,
    method: Method,
    make: Any = lambda: nn.Linear(3, 3),
    epochs: int = 1,
    task: Any = numbered,
) -> OpenRun:
    """Make a run, and open it as ``metaloss labels`` does."""
    experiment = Experiment(
        task=task,
        model=make,
        methods=[method],
        recipe=Recipe(epochs=epochs, meta_every=2),
        settings=RunSettings(device="cpu"),
    )
    if not folder.exists():
        experiment.run(RunFolder(folder))
    place = RunFolder(folder, resume=True)
    records = place.run(method.name, 0)
    return OpenRun(experiment, place, method, 0, task(seed=0), records)


class Trainings(Observer):
    """Keeps which trainings begin; ends the second one after its first epoch if told."""

    def __init__(self, *, stop: bool = False) -> None:
        self.stop = stop
        self.begun: list[tuple[str, int, int]] = []
        self.notes: list[str] = []

    def begin(self, info: Any) -> None:
        self.begun.append((info.method, info.number, info.runs))

    def epoch(self, record: dict[str, Any]) -> None:
        if self.stop and len(self.begun) == 2:
            raise KeyboardInterrupt

    def note(self, line: str) -> None:
        self.notes.append(line)


@pytest.mark.parametrize("seed", range(3))
def test_folds_have_as_many_samples_of_each_label(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(torch.tensor([0.7, 0.2, 0.1]), 203, True, generator=draw)
    for folds in (2, 5, 7):
        found = stratified(labels, folds, seed)
        counts = torch.stack(
            [found[labels == label].bincount(minlength=folds) for label in range(3)]
        )
        assert (counts.amax(dim=1) - counts.amin(dim=1) <= 1).all()
        together = counts.sum(dim=0)
        assert together.sum() == 203 and together.max() - together.min() <= 1
        assert torch.equal(found, stratified(labels, folds, seed))
        assert not torch.equal(found, stratified(labels, folds, seed + 1))


def test_no_network_judges_a_sample_that_it_was_trained_on(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CE_METHOD, Marks, epochs=2)
    own = run.predicted(run.records, run.task.train).probabilities
    assert (own[:, 0] == 1).all()  # the run's own network was trained on all
    found = out_of_fold(run, 5, Observer())
    assert found.shape == (SAMPLES, 3) and found[:, 0].max() < 0.999
    torch.testing.assert_close(found.sum(dim=1), torch.ones(SAMPLES, dtype=torch.float64))
    every = []
    for records in fold_records(run, 5):
        sets = records.read_tensors("fold")
        assert len(sets["train"]) == 48
        assert torch.equal(torch.cat([*sets.values()]).sort().values, torch.arange(SAMPLES))
        every.append(sets["left_out"])
        # Whatever was marked in training is in the set that was written down.
        marked = records.read_tensors("model")["seen"].nonzero().squeeze(1)
        assert torch.isin(marked, sets["train"]).all() and len(marked) > 40
    assert torch.equal(torch.cat(every).sort().values, torch.arange(SAMPLES))


def two_shared(*, seed: int, device: Any = "cpu") -> Task:
    """The same task, whose clean samples are trained on too: one of each of two folds of three."""
    task = numbered(seed=seed, device=device)
    folds = stratified(task.train_targets, 3, 0)
    shared = torch.stack([(folds == fold).nonzero()[0, 0] for fold in (0, 1)])
    return replace(task, meta=task.train.select(shared), shared=shared)  # type: ignore[attr-defined]


def test_samples_that_are_left_out_need_no_clean_one_among_them(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CE_METHOD, task=two_shared)
    assert not out_of_fold(run, 3, Observer()).isnan().any()


def test_the_folds_are_no_runs_of_the_report(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CE_METHOD)
    out_of_fold(run, 2, Observer())
    assert [len(each) for each in gather([tmp_path / "run"]).runs.values()] == [1]


@pytest.mark.parametrize(
    "method", [REMEMBERS, Searched(name="GCE", loss=GCE(), grid={"q": (0.3, 0.7)})], ids=str
)
def test_a_stopped_call_goes_on_where_it_was(tmp_path: Path, method: Method) -> None:
    whole = out_of_fold(made(tmp_path / "whole", method, epochs=2), 3, Observer())
    run = made(tmp_path / "run", method, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        out_of_fold(run, 3, Trainings(stop=True))
    each = method.num_trainings
    heard = Trainings()
    assert torch.equal(out_of_fold(run, 3, heard), whole)
    # A finished training is not begun again, one that was stopped is.
    first, *_, last = heard.begun
    assert first[1:] == (2, 3 * each) and last[1:] == (3 * each, 3 * each)
    assert first[0].startswith("fold 2 of 3, " if each == 1 else "fold 1 of 3, ")
    heard = Trainings()
    assert torch.equal(out_of_fold(run, 3, heard), whole)
    assert heard.begun == [] and heard.notes == [
        f"3 folds of {method.name}, seed 0: all of them are done"
    ]


def test_it_says_beforehand_how_long_it_takes(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CE_METHOD)
    heard = Trainings()
    out_of_fold(run, 2, heard)
    (line,) = heard.notes
    assert line.startswith("2 folds of CE, seed 0: 2 trainings to go, about ")
    (fold_records(run, 2)[1].path / "result.json").unlink()
    out_of_fold(run, 2, heard)
    assert "1 fold is done; 1 training to go" in heard.notes[1]


def test_folds_of_other_samples_are_refused(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CE_METHOD)
    out_of_fold(run, 2, Observer())
    records = fold_records(run, 2)[0]
    sets = records.read_tensors("fold")
    records.write_tensors("fold", {**sets, "train": sets["left_out"]})
    with pytest.raises(InputError, match="expected a fold with the same samples, got others"):
        out_of_fold(run, 2, Observer())


@pytest.mark.bad_input
@pytest.mark.parametrize("folds", [1, 0, -2, 2.0, True, "3"])
def test_less_than_two_folds_are_refused(folds: Any) -> None:
    with pytest.raises(InputError, match="folds: expected a whole number of at least 2"):
        check_folds(folds, torch.arange(4) % 2, "ab")


def test_more_folds_than_samples_of_a_label_are_refused() -> None:
    labels = torch.tensor([0, 0, 0, 2, 2, 2, 2])
    check_folds(3, labels, ["cat", "none", "dog"])
    with pytest.raises(InputError, match=r"folds: expected at most 3, .* labelled 'cat', got 4"):
        check_folds(4, labels, ["cat", "none", "dog"])


def test_a_task_that_cannot_be_cut_down_is_refused(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CE_METHOD)

    class Own:
        def __getattr__(self, name: str) -> Any:
            if name == "select":
                raise AttributeError
            return getattr(run.task, name)

    whole = OpenRun(run.experiment, run.folder, run.method, 0, Own(), run.records)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"\(metaloss.types.Selectable\).* got a Own"):
        out_of_fold(whole, 2, Observer())


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cross entropy on 200 samples of digits for an epoch."""
    changes = (CE, "tasks.classification_task.subset = 200", "EPOCHS = 1")
    place = tmp_path_factory.mktemp("few") / "run"
    return train(place, "experiments/demo.gin", *changes, files=["models/mlp.gin"])


def test_a_stopped_command_says_how_to_go_on(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    place = shutil.copytree(few, tmp_path / "run")
    monkeypatch.setattr(run_reader, "out_of_fold", stop)
    monkeypatch.setattr(sys, "argv", ["metaloss", "labels", "my run", "--folds", "2"])
    done = invoke("labels", place, "--folds", 2)
    assert isinstance(done.exception, Stopped) and done.exception.code == 130
    assert str(done.exception) == "stopped; go on with: metaloss labels 'my run' --folds 2"
    monkeypatch.undo()
    assert invoke("labels", place, "--folds", 2).exit_code == 0  # the folder is free again


def words_of(output: str) -> Sequence[str]:
    """What is printed, without numbers and what depends on their width."""
    text = re.sub(r"[\d.%│┃─━ ]+|[┏┓┗┛┡┩┌┐└┘├┤┬┴┼╇┳╈]+", " ", output)
    return text.split()


def test_the_command_prints_and_writes_the_same_tables(few: Path, tmp_path: Path) -> None:
    place = shutil.copytree(few, tmp_path / "run")
    own = invoke("labels", place)
    before = rows_of(place / "labels.csv")
    done = invoke("labels", place, "--folds", 2)
    assert done.exit_code == 0, done.output
    about, *lines = done.stdout.splitlines()
    who = "digits: CE, seed 0, out-of-fold by 2 networks"
    assert about == f"{who}; ranked by combined (of the run's own predictions)"
    assert words_of(" ".join(lines)) == words_of(" ".join(own.stdout.splitlines()[1:]))
    assert "2 folds of CE, seed 0: 2 trainings to go" in done.stderr
    assert "fold 2 of 2, CE, seed 0, epoch 1/1" in done.stderr
    after = rows_of(place / "labels.csv")
    assert after[0].keys() == before[0].keys() and len(after) == len(before) == 200
    assert after != before and {r["id"] for r in after} == {r["id"] for r in before}
    again = invoke("labels", place, "--folds", 2)
    assert again.stdout == done.stdout and "epoch" not in again.stderr
    assert "expected a whole number of at least 2, got 1" in refusal(place, "--folds", 1)
    assert "folds: expected at most" in refusal(place, "--folds", 200)
