"""Methods with preliminary runs: a search on clean samples, and forward correction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from metaloss import from_pretrained
from metaloss.checks import InputError
from metaloss.experiments import Adjusted, Forward, RunFolder, RunSettings, Searched
from metaloss.experiments.methods.forward import estimated_transition
from metaloss.experiments.methods.staged import Conclusion, PreliminaryRun, Staged
from metaloss.experiments.records.run_records import RunRecords
from metaloss.losses import GCE, Barron
from metaloss.tasks import classification_task, digits, noise
from metaloss.training import Observer
from metaloss.training.evaluate import evaluate
from metaloss.types import TaskLike
from tests.experiments.runs import experiment, network
from tests.helpers.tasks import blobs

SEARCH = Searched(name="GCE", loss=GCE(), grid={"q": (0.05, 0.95)})


class Runs(Observer):
    """Keeps what is said of runs; ends the second one after its first epoch if told."""

    def __init__(self, stop: bool = False) -> None:
        self.stop = stop
        self.begun: list[tuple[str, int, int]] = []
        self.ended: list[str] = []

    def begin(self, info: Any) -> None:
        self.begun.append((info.method, info.number, info.runs))

    def epoch(self, record: dict[str, Any]) -> None:
        if self.stop and len(self.begun) == 2:
            raise KeyboardInterrupt

    def end(self, record: dict[str, Any]) -> None:
        self.ended.append(record["method"])


def search(folder: Path, observer: Observer | None = None, **changes: Any) -> dict[str, Any]:
    """Run the search, and return its result."""
    run = experiment(**{"methods": [SEARCH], "model": network, **changes})
    run.run(RunFolder(folder, resume=folder.exists()), observer)
    found = RunRecords(folder / "GCE" / "seed-0").result()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished search, which no test changes, and its result."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    return folder, search(folder)


def test_the_best_on_the_clean_samples_counts(searched: tuple[Path, dict[str, Any]]) -> None:
    folder, found = searched
    task, kind = blobs(), GCE().kind
    scores = {}
    for name in ("q-0.05", "q-0.95"):
        records = RunRecords(folder / "GCE" / "seed-0" / "preliminary" / name)
        model = network()
        model.load_state_dict(records.read_tensors("model"))
        scores[name] = evaluate(model, task.meta.in_order(), kind).score  # type: ignore[union-attr]
        result = records.result()
        assert result is not None
        if found["values"] == {"q": float(name[2:])}:
            chosen = result
    assert [each["clean_accuracy"] for each in found["search"]] == list(scores.values())
    assert found["values"] == {"q": float(max(scores, key=lambda name: scores[name])[2:])}
    assert found["accuracy"] == chosen["accuracy"]
    assert found["method"] == "GCE"


def test_what_the_chosen_run_learned_is_in_the_runs_own_folder(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    folder, found = searched
    own = folder / "GCE" / "seed-0"
    chosen = own / "preliminary" / f"q-{found['values']['q']:g}"
    for name in ("model.safetensors", "metrics.jsonl", "samples.safetensors"):
        assert (own / name).read_bytes() == (chosen / name).read_bytes()
    assert json.loads((own / "identity.json").read_text())["method"]["grid"] == {"q": [0.05, 0.95]}


class Once(Staged):
    """Makes one preliminary run, which is the final one too."""

    preliminary = (Adjusted(name="A", loss=GCE()),)

    def conclude(self, task: TaskLike, runs: Sequence[PreliminaryRun]) -> Conclusion:
        return Conclusion(runs[0].method, {})


def test_the_adjuster_that_a_preliminary_run_learned_is_the_runs(tmp_path: Path) -> None:
    experiment(methods=[Once(name="once")]).run(RunFolder(tmp_path / "run"))
    own = tmp_path / "run" / "once" / "seed-0"
    assert isinstance(from_pretrained(own / "adjuster").loss, GCE)


def test_runs_are_counted_and_named(tmp_path: Path) -> None:
    heard = Runs()
    run = experiment(methods=[SEARCH, Forward(name="F")], model=network)
    run.run(RunFolder(tmp_path / "run"), heard)
    assert heard.begun == [
        ("GCE, q=0.05", 1, 4),
        ("GCE, q=0.95", 2, 4),
        ("F, CE", 3, 4),
        ("F", 4, 4),
    ]
    assert heard.ended == ["q=0.05", "q=0.95", "GCE", "CE", "F"]


def test_a_search_that_is_stopped_goes_on(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    whole = searched[1]
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run", Runs(stop=True))
    heard = Runs()
    resumed = search(tmp_path / "run", heard)
    assert [method for method, *_ in heard.begun] == ["GCE, q=0.95"]
    same = ("accuracy", "values", "search", "epochs")
    assert {key: resumed[key] for key in same} == {key: whole[key] for key in same}
    heard = Runs()
    search(tmp_path / "run", heard)
    assert heard.begun == []


def test_forward_with_the_estimated_matrix(tmp_path: Path) -> None:
    run = experiment(methods=[Forward(name="F", quantile=1.0)], model=network)
    run.run(RunFolder(tmp_path / "run"))
    records = RunRecords(tmp_path / "run" / "F" / "seed-0")
    first = network()
    first.load_state_dict(records.preliminary("CE").read_tensors("model"))
    with torch.no_grad():
        inputs = next(blobs(batch_size=60).train.in_order().epoch(0)).inputs  # type: ignore[attr-defined]
        probabilities = first.eval()(inputs).softmax(dim=1)
    result = records.result()
    assert result is not None
    for label, row in enumerate(result["transition"]):
        expected = probabilities[probabilities[:, label].argmax()]
        assert row == pytest.approx(expected.tolist(), abs=1e-6)


def test_forward_with_the_true_matrix_makes_one_run(tmp_path: Path) -> None:
    task = partial(
        classification_task,
        data=digits,
        noise=partial(noise.symmetric, rate=0.4),
        num_meta=100,
        num_test=360,
    )
    method = Forward(name="F", transition="true")
    run = experiment(
        task=task, model=lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)),
        methods=[method],
        recipe=replace(experiment().recipe, epochs=1),
    )  # fmt: skip
    heard = Runs()
    run.run(RunFolder(tmp_path / "run"), heard)
    assert heard.begun == [("F", 1, 1)]
    found = RunRecords(tmp_path / "run" / "F" / "seed-0").result()
    assert found is not None
    assert found["transition"][0] == pytest.approx([0.6, *[0.4 / 9] * 9])


def test_the_quantile_passes_over_outliers() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    found = estimated_transition(probabilities, quantile=0.5)  # 2.4 and 1.6 samples are believed
    assert found.tolist() == [pytest.approx([0.8, 0.2]), pytest.approx([0.1, 0.9])]


@pytest.mark.parametrize("classes", [10, 100])
def test_the_matrix_of_a_network_that_is_nearly_right(classes: int) -> None:
    """Whatever the number of classes: 3% of all samples would be another class of a hundred."""
    draw = torch.Generator().manual_seed(0)
    true = torch.full((classes, classes), 0.4 / (classes - 1)).fill_diagonal_(0.6)
    rows = true.repeat(20000 // classes, 1)
    probabilities = (rows.log() + 0.05 * torch.randn(rows.shape, generator=draw)).softmax(dim=1)
    found = estimated_transition(probabilities)
    assert (found.diagonal() - 0.6).abs().max() < 0.05
    assert (found - true).abs().max() < 0.05


class TestRefused:
    def test_a_search_without_clean_samples(self, tmp_path: Path) -> None:
        run = experiment(task=partial(blobs, meta=False), methods=[SEARCH])
        with pytest.raises(InputError, match=r"a task with clean samples .* got none"):
            run.run(RunFolder(tmp_path / "run"))
        assert not (tmp_path / "run").exists()

    def test_a_search_by_samples_that_nobody_checked(self, tmp_path: Path) -> None:
        def task(**given: Any) -> Any:
            made = blobs(**given)
            made.meta_checked = False  # type: ignore[attr-defined]
            return made

        run = experiment(task=task, methods=[SEARCH])
        with pytest.raises(InputError, match="got samples that nobody checked in blobs"):
            run.run(RunFolder(tmp_path / "run"))

    @pytest.mark.parametrize(
        ("grid", "said"),
        [
            ({}, "expected candidates for one hyperparameter or more, got {}"),
            ({"q": ()}, "expected candidates"),
            ({"p": (0.5,)}, "p"),
            ({"q": (0.5, 2.0)}, "2"),
        ],
    )
    def test_a_grid_that_the_loss_does_not_have(self, grid: Any, said: str) -> None:
        with pytest.raises(InputError) as refused:
            Searched(name="GCE", loss=GCE(), grid=grid)
        assert said in str(refused.value)

    def test_candidates_have_folders_of_their_own(self) -> None:
        made = Searched(name="B", loss=Barron(), grid={"alpha": (-1.0, 0.0, 1.0)})
        assert [run.name for run in made.preliminary] == [
            "alpha=minus 1.0",
            "alpha=0.0",
            "alpha=1.0",
        ]
        near = Searched(name="GCE", loss=GCE(), grid={"q": (0.5, 0.5000001)})
        assert [run.name for run in near.preliminary] == ["q=0.5", "q=0.5000001"]
        with pytest.raises(InputError, match=r"grid: expected different names, got q=0\.5 more"):
            Searched(name="GCE", loss=GCE(), grid={"q": (0.5, 0.5)})

    def test_another_transition(self) -> None:
        with pytest.raises(InputError, match="expected estimated or true, got 'guessed'"):
            Forward(name="F", transition="guessed")

    def test_who_knows_the_noise_is_not_ranked(self) -> None:
        assert Forward(name="F", transition="true").informed
        assert not Forward(name="F").informed

    def test_the_true_matrix_of_a_task_that_does_not_know_it(self, tmp_path: Path) -> None:
        run = experiment(methods=[Forward(name="F", transition="true")])
        with pytest.raises(InputError, match="expected a task that knows the matrix of its noise"):
            run.run(RunFolder(tmp_path / "run"))

    def test_another_search_in_the_same_folder(self, searched: tuple[Path, dict[str, Any]]) -> None:
        other = replace(SEARCH, grid={"q": (0.05, 0.5)})
        with pytest.raises(InputError, match=r"begun here: expected method\.grid"):
            search(searched[0], methods=[other], settings=RunSettings(device="cpu"))
