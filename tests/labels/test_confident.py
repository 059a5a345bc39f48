"""Confident learning, against its equations as printed, one sample at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metaloss.labels import class_thresholds, cleanlab_scores, confident_joint, estimated_noise
from metaloss.labels.scores import normalized_margin, self_confidence


def noisy(seed: int, samples: int = 500, classes: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Return predictions of true classes, noisy labels, and the matrix that made them."""
    draw = torch.Generator().manual_seed(seed)
    true = torch.randint(classes, (samples,), generator=draw)
    matrix = torch.eye(classes, dtype=torch.float64) * 0.7
    matrix += 0.3 * torch.eye(classes, dtype=torch.float64).roll(1, 1)
    labels = torch.multinomial(matrix[true], 1, generator=draw).squeeze(1)
    logits = torch.randn(samples, classes, generator=draw, dtype=torch.float64)
    logits += 4 * torch.nn.functional.one_hot(true, classes)
    return logits.softmax(dim=1), labels, matrix


def oracle(p: Tensor, labels: Tensor) -> tuple[list[float], list[list[int]], list[list[float]]]:
    """Return t (Eq. 2), C (Eq. 1) and Q (Eq. 3) of Northcutt et al."""
    rows, given, classes = p.tolist(), labels.tolist(), p.shape[1]
    thresholds = []
    for j in range(classes):
        own = [row[j] for row, label in zip(rows, given, strict=True) if label == j]
        thresholds.append(sum(own) / len(own))
    counts = [[0] * classes for _ in range(classes)]
    for row, label in zip(rows, given, strict=True):
        above = [j for j in range(classes) if row[j] >= thresholds[j]]
        if above:
            counts[label][max(above, key=lambda j: row[j])] += 1
    joint = []
    for i in range(classes):
        share = given.count(i) / len(given)
        joint.append([share * c / sum(counts[i]) for c in counts[i]])
    return thresholds, counts, joint


@pytest.mark.parametrize("seed", range(3))
def test_the_equations(seed: int) -> None:
    p, labels, _ = noisy(seed)
    thresholds, counts, joint = oracle(p, labels)
    torch.testing.assert_close(class_thresholds(p, labels), torch.tensor(thresholds).double())
    assert confident_joint(p, labels).tolist() == counts
    found = estimated_noise(p, labels)
    expected = torch.tensor(joint, dtype=torch.float64)
    torch.testing.assert_close(found.joint, expected)
    assert found.rate == pytest.approx(1 - sum(joint[i][i] for i in range(4)))
    for i in range(4):
        assert float(found.class_rates[i]) == pytest.approx(1 - joint[i][i] / sum(joint[i]))
        for j in range(4):
            of_class = sum(row[j] for row in joint)
            assert float(found.transition[j, i]) == pytest.approx(joint[i][j] / of_class)


def test_the_matrix_that_made_the_noise_is_found() -> None:
    p, labels, matrix = noisy(0, samples=20_000)
    found = estimated_noise(p, labels)
    assert found.rate == pytest.approx(0.3, abs=0.03)
    assert (found.transition - matrix).abs().max() < 0.05
    torch.testing.assert_close(found.transition.sum(dim=1), torch.ones(4, dtype=torch.float64))


def test_classes_without_labels_and_rows_without_counts() -> None:
    p = torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.9, 0.1, 0.0]])
    labels = torch.tensor([0, 0, 0])
    found = estimated_noise(p, labels)
    assert class_thresholds(p, labels)[1:].tolist() == [torch.inf, torch.inf]
    assert found.rate == 0
    assert found.class_rates.isnan().tolist() == [False, True, True]
    assert torch.equal(found.transition, torch.eye(3, dtype=torch.float64))
    # In the second row only the sample of the other class reaches a threshold.
    p = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.4], [0.7, 0.3]])
    labels = torch.tensor([0, 0, 1, 1])
    assert confident_joint(p, labels).tolist() == [[2, 0], [0, 1]]


def test_equal_predictions_reach_their_own_mean() -> None:
    p = torch.full((7, 2), 0.1).double()
    p[:, 0] = 0.9
    assert confident_joint(p, torch.zeros(7, dtype=torch.int64))[0, 0] == 7


def test_cleanlab_agrees() -> None:
    count = pytest.importorskip("cleanlab.count")
    p, labels, _ = noisy(3)
    theirs = count.compute_confident_joint(labels.numpy(), p.numpy(), calibrate=False)
    assert confident_joint(p, labels).tolist() == theirs.tolist()
    scores = cleanlab_scores(p, labels)
    torch.testing.assert_close(scores["cleanlab: self-confidence"], self_confidence(p, labels))
    theirs = scores["cleanlab: normalized margin"]
    torch.testing.assert_close(theirs, normalized_margin(p, labels))


def test_without_cleanlab_there_are_no_scores_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cleanlab.rank", None)
    p, labels, _ = noisy(0)
    assert cleanlab_scores(p, labels) == {}
