"""Arguments of a classification task that are refused by name."""

from __future__ import annotations

from functools import partial

import pytest

from metaloss.checks import InputError
from metaloss.tasks import Augment, noise
from tests.tasks.test_classification import DIGITS, NUMBERS, SYMMETRIC


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            partial(DIGITS, num_meta=1790, num_test=5),
            r"^num_meta: expected 179 .* for a balanced set of 1790, .* \(balanced_meta=False\)",
        ),
        (partial(DIGITS, num_test=0), "num_test: .* at least 1, got 0"),
        (partial(DIGITS, num_test=None), "num_test: digits has no test set, .* got None"),
        (partial(NUMBERS, num_test=10), "num_test: numbers has its own test set, got 10"),
        (partial(NUMBERS, num_meta=-1), "num_meta"),
        (partial(NUMBERS, num_meta=1), "num_meta: expected samples of two classes or more, got 1"),
        (partial(NUMBERS, num_meta=400), r"400 samples .* got \d+ \(num_meta 400, "),
        (
            partial(NUMBERS, num_meta=401, balanced_meta=False),
            "sizes: expected at most the 400 samples",
        ),
        (partial(NUMBERS, num_meta=70, meta_from="clean"), "got 82 .*; of numbers$"),
        (partial(NUMBERS, subset=0), "subset: .* at least 1, got 0"),
        (partial(NUMBERS, subset=369), "expected at most the 400 samples there are, got 401"),
        (
            partial(NUMBERS, batch_size=369),
            "^batch_size: expected at most the 368 samples there are, got 369",
        ),
        (
            partial(NUMBERS, meta_batch_size=21),
            "meta_batch_size: expected at most the 20 samples there are, got 21",
        ),
        (partial(NUMBERS, eval_batch_size=0), "eval_batch_size"),
        (partial(NUMBERS, meta_from="train set"), "one of train, test, clean, noisy, shared"),
        (partial(DIGITS, meta_from="clean"), "meta_from: expected digits to have a clean part"),
        (partial(DIGITS, meta_from="test"), "meta_from: expected digits to have a test part"),
        (partial(NUMBERS, noise=SYMMETRIC, noise_file="x"), "one of them at most"),
        (partial(NUMBERS, noise_file="nowhere"), "nowhere: .* no such file"),
        (partial(NUMBERS, augment=Augment), "numbers is not uint8 images in memory"),
        (partial(DIGITS, mean=(0.5,)), "mean and std: expected both or neither"),
        (partial(DIGITS, mean=(0.5,) * 3, std=(0.5,) * 3), "mean: expected a number for each"),
        (partial(NUMBERS, noise=partial(noise.symmetric, rate=2)), "rate"),
        (
            partial(NUMBERS, noise=lambda targets, num_classes, generator: targets),
            "returns NoisyLabels, got Tensor",
        ),
    ],
)
def test_bad_input(build, words):
    with pytest.raises(InputError, match=words):
        loader = build().train
        next(loader.epoch(0))
