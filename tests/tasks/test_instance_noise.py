"""Noise that depends on the input, against the paper's recipe one sample at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import truncnorm

from metaloss.tasks import noise
from tests.tasks.test_noise import IMAGES, SAMPLES, TARGETS, generator


def paper_instance_dependent(inputs, targets, rate, num_classes, seed):
    """Section 4.2, one sample at a time, in float64, with random draws in the function's order."""
    draws = generator(seed)
    n, features = len(targets), inputs[0].numel()
    uniform = torch.rand(n, dtype=torch.float64, generator=draws).numpy()
    pick = torch.rand(n, dtype=torch.float64, generator=draws).numpy()
    weights = [
        torch.randn(features, num_classes, dtype=torch.float64, generator=draws).numpy()
        for _ in range(num_classes)
    ]
    labels, probabilities = [], []
    for i in range(n):
        x = inputs[i].double().numpy().reshape(1, -1)
        if inputs.dtype == torch.uint8:
            x = x / 255
        y = int(targets[i])
        q = truncnorm.ppf(uniform[i], (0 - rate) / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)
        score = (x @ weights[y])[0]
        score[y] = -np.inf
        p = np.exp(score - score.max())
        p = q * p / p.sum()
        p[y] = 1 - q
        total = 0.0
        for label in range(num_classes):
            total += p[label]
            if pick[i] < total:
                break
        labels.append(label)
        probabilities.append(p)
    return torch.tensor(labels), torch.from_numpy(np.stack(probabilities))


@pytest.mark.parametrize(
    ("kind", "rate"), [("uint8", 0.0), ("float32", 0.2), ("uint8", 0.6), ("float32", 1.0)]
)
def test_instance_dependent_equals_the_papers_recipe(kind, rate, monkeypatch):
    inputs = IMAGES[:400] if kind == "uint8" else IMAGES[:400].float().flatten(1) / 300 - 0.2
    targets = TARGETS[:400]
    monkeypatch.setattr("metaloss.tasks.instance_noise._CHUNK", 7)
    made = noise.instance_dependent(inputs, targets, rate, 10, generator(3))
    labels, _ = paper_instance_dependent(inputs, targets, rate, 10, 3)
    assert torch.equal(made.labels, labels)


def test_instance_dependent_rate_and_observed_transition():
    made = noise.instance_dependent(IMAGES, TARGETS, 0.4, 10, generator())
    # A flip has probability q with mean 0.4, so the count is binomial.
    assert abs(made.rate - 0.4) < 5 * math.sqrt(0.4 * 0.6 / SAMPLES)
    for i in range(10):
        for j in range(10):
            share = ((i == TARGETS) & (made.labels == j)).sum() / (i == TARGETS).sum()
            assert abs(float(made.transition[i, j]) - float(share)) < 1e-6


def test_instance_dependent_flips_depend_on_the_input():
    # Equal samples of one class mostly flip to one class; other samples flip to another.
    targets = torch.zeros(8000, dtype=torch.int64)
    inputs = torch.eye(8).repeat(1000, 1) * 10
    made = noise.instance_dependent(inputs, targets, 0.5, 5, generator(1))
    ways = torch.stack(
        [made.labels[k::8][made.flipped[k::8]].bincount(minlength=5) for k in range(8)]
    )
    assert bool((ways.max(1).values > 0.6 * ways.sum(1)).all())
    assert len(ways.argmax(1).unique()) > 1


def test_instance_dependent_with_a_class_that_does_not_occur():
    targets = torch.zeros(50, dtype=torch.int64)
    made = noise.instance_dependent(torch.rand(50, 3), targets, 0.4, 3, generator())
    assert made.transition[1].tolist() == [0, 1, 0]
    assert made.transition[2].tolist() == [0, 0, 1]


def test_instance_dependent_does_not_depend_on_the_chunk(monkeypatch):
    whole = noise.instance_dependent(IMAGES, TARGETS, 0.4, 10, generator())
    monkeypatch.setattr("metaloss.tasks.instance_noise._CHUNK", 999)
    parts = noise.instance_dependent(IMAGES, TARGETS, 0.4, 10, generator())
    assert torch.equal(whole.labels, parts.labels)
