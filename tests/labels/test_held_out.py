"""Samples that were held out of training are judged on the scale of the others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import metaloss
from metaloss.checks import InputError
from metaloss.cli import app
from metaloss.labels import assess, judge, judge_run, read_run
from metaloss.labels.held_out import (
    HeldOut,
    final_margins,
    held_out_of,
    of_same_rank,
    with_held_out,
)
from metaloss.predict import predict_run


def draw(samples: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(samples, classes, generator=source, dtype=torch.float64)
    return logits.softmax(dim=1), torch.randint(classes, (samples,), generator=source)


def test_the_score_of_the_same_rank() -> None:
    scores, others = torch.rand(7).double(), torch.rand(40).double()
    found = of_same_rank(scores, others)
    assert (found.argsort() == scores.argsort()).all()
    ordered = sorted(others.tolist())
    for score, value in zip(scores.tolist(), found.tolist(), strict=True):
        rank = (sum(each < score for each in scores.tolist()) + 0.5) / 7 * 39
        low = ordered[int(rank)]
        assert value == pytest.approx(low + rank % 1 * (ordered[int(rank) + 1] - low))
    assert of_same_rank(others, others[:1]).unique().tolist() == others[:1].tolist()


def test_ties_stay_ties_and_nothing_has_no_rank() -> None:
    found = of_same_rank(torch.tensor([0.5, 0.1, 0.5, 0.9]), torch.linspace(0, 1, 101))
    assert found.tolist() == pytest.approx([0.5, 0.125, 0.5, 0.875])
    with pytest.raises(InputError, match="scores: expected one or more of each kind, got 0 and 1"):
        of_same_rank(torch.zeros(0), torch.zeros(1))


def test_margins_at_the_end_are_those_of_the_logits() -> None:
    logits = torch.tensor([[4.0, 1.0, -2.0], [0.5, 0.0, 9.0]], dtype=torch.float64)
    found = final_margins(logits.softmax(dim=1), torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([3.0, -9.0])


def test_each_score_is_of_the_same_rank_and_weights_are_none() -> None:
    p, labels = draw(30, 3, seed=0)
    q, theirs = draw(10, 3, seed=1)
    trained = assess(p, labels, weights=torch.rand(30), mean_margins=torch.randn(30))
    held_out = HeldOut(tuple("abcdefghij"), torch.arange(10), theirs, q)
    found = with_held_out(trained, held_out, p)
    assert found.held_out is not None and found.held_out.tolist() == [False] * 30 + [True] * 10
    alone = assess(q, theirs, mean_margins=final_margins(q, theirs))
    for name, own in alone.scores.items():
        assert found.scores[name][:30].equal(trained.scores[name].double())
        assert found.scores[name][30:].equal(of_same_rank(own, trained.scores[name]))
    assert found.order("weight").tolist() == trained.order("weight").tolist()
    assert sorted(found.order().tolist()) == list(range(40))
    assert found.suggested[30:].equal(q.argmax(dim=1))
    both = assess(torch.cat([p, q]), torch.cat([labels, theirs])).noise
    assert found.noise.rate == both.rate


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A fit of small images that held 20 out, with the images and their labels."""
    source = np.random.default_rng(0)
    labels = np.arange(60) % 2
    x = (source.integers(0, 100, (60, 8, 8)) + 120 * labels[:, None, None]).astype(np.uint8)
    given = np.where(np.arange(60) % 6 == 0, 1 - labels, labels)
    place = tmp_path_factory.mktemp("images") / "run"
    metaloss.fit(x, given, out=place, epochs=2, held_out=20)
    return place, x, given


def test_a_run_says_which_samples_it_held_out(images) -> None:
    place, x, given = images
    run = read_run(place)
    assert run.held_out is not None and len(run.held_out.ids) == 20
    assert sorted(map(int, run.judged_ids)) == list(range(60))
    rows = [int(each) for each in run.held_out.ids]
    assert run.held_out.labels.tolist() == given[rows].tolist()
    assert run.held_out.probabilities.allclose(predict_run(place, x[rows]).probabilities)


def test_the_command_ranks_them_draws_them_and_says_what_has_no_score(images) -> None:
    place = images[0]
    judged = judge(read_run(place))
    assert "weight" in judged.scores and len(judged.labels) == 60
    done = CliRunner().invoke(app, ["labels", str(place)], catch_exceptions=False)
    assert "60 samples, 20 of them held out; estimated rate" in done.output
    assert len((place / "labels.csv").read_text().splitlines()) == 61
    assert (place / "labels.png").is_file()
    done = CliRunner().invoke(app, ["labels", str(place), "--score", "weight"])
    assert "20 held-out samples have no weight, and are not ranked" in done.output
    assert len((place / "labels.csv").read_text().splitlines()) == 41


def test_the_images_of_both_are_drawn(images) -> None:
    place, x, _ = images
    run = read_run(place)
    rows = [50, 3, 41]
    found = judge_run._images_in_memory(run, rows)
    assert found is not None
    for row, image in zip(rows, found, strict=True):
        own = x[int(str(run.judged_ids[row]))].astype(float)
        assert image == pytest.approx((own - own.min()) / (own.max() - own.min()), abs=1e-6)


def test_samples_held_out_with_right_labels_are_not_judged() -> None:
    from metaloss.tasks import classification_task, digits

    task = classification_task(data=digits, num_meta=100, num_test=360)
    assert task.test_checked and held_out_of(SimpleNamespace(task=task)) is None
