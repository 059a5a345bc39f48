"""Scores of labels, against their formulas one sample at a time."""

from __future__ import annotations

import math

import pytest
import torch

from metaloss.checks import InputError
from metaloss.labels import (
    adjuster_weight,
    area_under_margin,
    assess,
    detection,
    normalized_margin,
    self_confidence,
)

SAMPLES, CLASSES = 40, 4


def predictions() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(SAMPLES, CLASSES, generator=draw, dtype=torch.float64)
    return logits.softmax(dim=1), torch.randint(CLASSES, (SAMPLES,), generator=draw)


def test_self_confidence_and_normalized_margin() -> None:
    p, labels = predictions()
    confidences, margins = [], []
    for row, label in zip(p.tolist(), labels.tolist(), strict=True):
        rest = [value for j, value in enumerate(row) if j != label]
        confidences.append(row[label])
        margins.append((row[label] - max(rest) + 1) / 2)
    assert self_confidence(p, labels).tolist() == confidences
    assert normalized_margin(p, labels).tolist() == pytest.approx(margins, abs=1e-15)


def test_the_area_under_the_margin_keeps_the_order_of_large_margins() -> None:
    margins = torch.tensor([-30.0, -1.0, 0.0, 2.0, 20.0, 30.0])
    found = area_under_margin(margins)
    expected = [1 / (1 + math.exp(-m)) for m in margins.tolist()]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert (found.diff() > 0).all()


def test_weights_are_moved_into_the_range() -> None:
    weights = torch.tensor([-2.0, 0.0, 0.25, 1.0], dtype=torch.float64)
    assert adjuster_weight(weights).tolist() == [0, 0, 0.25, 1.0]
    assert adjuster_weight(2 * weights).tolist() == [0, 0, 0.25, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_all_scores_are_in_the_range(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    p = (20 * torch.randn(200, 5, generator=draw)).softmax(dim=1)
    labels = torch.randint(5, (200,), generator=draw)
    found = assess(
        p,
        labels,
        weights=3 * torch.randn(200, generator=draw),
        mean_margins=50 * torch.randn(200, generator=draw),
    )
    for name, scores in found.scores.items():
        assert scores.shape == (200,), name
        assert ((scores >= 0) & (scores <= 1)).all(), name


def test_the_order_is_ascending_and_ties_keep_their_place() -> None:
    p = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    found = assess(p, torch.zeros(4, dtype=torch.int64))
    assert found.preferred == "normalized-margin"
    assert found.order().tolist() == [1, 0, 2, 3]
    with pytest.raises(InputError, match="got 'weight'; this run has no data for it"):
        found.order("weight")


def test_the_combined_score_takes_the_predictions_that_say_something() -> None:
    out_of_fold, labels = predictions()
    margins = torch.linspace(-2, 2, SAMPLES, dtype=torch.float64)

    def of(p: torch.Tensor) -> list[float]:
        return ((normalized_margin(p, labels) * margins.sigmoid()).sqrt()).tolist()

    heart = torch.nn.functional.one_hot(labels, CLASSES).double()
    unsure = heart.clone()
    unsure[:3] = unsure[:3].roll(1, dims=1)  # 37 of 40 labels are predicted
    for own, expected in ((None, out_of_fold), (heart, out_of_fold), (unsure, unsure)):
        found = assess(out_of_fold, labels, mean_margins=margins, own=own)
        assert found.scores["combined"].tolist() == pytest.approx(of(expected), abs=1e-12)
        # The other scores, the suggestions and the noise are those of the folds.
        same = assess(out_of_fold, labels)
        for name in ("normalized-margin", "self-confidence"):
            assert torch.equal(found.scores[name], same.scores[name])
        assert torch.equal(found.suggested, same.suggested) and found.noise.rate == same.noise.rate


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("p", "labels", "message"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 1]), "that sum to 1, got others"),
        (torch.full((2, 2), torch.nan), torch.tensor([0, 1]), "that sum to 1, got others"),
        (torch.tensor([[2.0, -1.0]]), torch.tensor([0]), "that sum to 1, got others"),
        (torch.ones(2, 1), torch.tensor([0, 0]), "for two classes or more"),
        (torch.full((2, 2), 0.5), torch.tensor([0, 2]), "labels: expected labels in 0..1"),
        (torch.full((2, 2), 0.5), torch.tensor([0]), "one for each row of probabilities"),
        (torch.full((2, 2), 0.5), torch.tensor([0.0, 1.0]), "labels: expected int64"),
    ],
)
def test_bad_predictions_are_refused(p, labels, message: str) -> None:
    for score in (self_confidence, normalized_margin):
        with pytest.raises(InputError, match=message):
            score(p, labels)


@pytest.mark.bad_input
def test_columns_that_do_not_fit_are_refused() -> None:
    p, labels = predictions()
    for name in ("mean_margins", "weights"):
        with pytest.raises(InputError, match="40, one for each"):
            assess(p, labels, **{name: torch.zeros(3)})
        with pytest.raises(InputError, match=f"{name}: expected finite numbers, got 1"):
            assess(p, labels, **{name: torch.full((40,), 0.0).index_fill(0, labels[:1], torch.nan)})


def test_detection_against_counting() -> None:
    draw = torch.Generator().manual_seed(1)
    scores = torch.randint(20, (300,), generator=draw).double() / 20  # with ties
    flipped = torch.rand(300, generator=draw) < 1 - scores
    wrong, right = scores[flipped], scores[~flipped]
    below = (wrong[:, None] < right).double() + 0.5 * (wrong[:, None] == right)
    found = detection(scores, flipped)
    assert found is not None
    assert found.auroc == pytest.approx(float(below.mean()), abs=1e-12)
    precision = []  # at the threshold of each wrong label, all that are tied with it counted
    for value in wrong.tolist():
        chosen = scores <= value
        precision.append(float(flipped[chosen].double().mean()))
    assert found.average_precision == pytest.approx(sum(precision) / len(precision), abs=1e-12)
    ranked = sorted(range(300), key=lambda i: (float(scores[i]), i))
    for count, value in (
        (100, found.precision_at_few),
        (len(wrong), found.precision_at_wrong),
    ):
        assert value == pytest.approx(sum(bool(flipped[i]) for i in ranked[:count]) / count)


def test_without_wrong_labels_there_is_nothing_to_detect() -> None:
    assert detection(torch.rand(5), torch.zeros(5, dtype=torch.bool)) is None
    assert detection(torch.rand(5), torch.ones(5, dtype=torch.bool)) is None
