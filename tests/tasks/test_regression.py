"""Regression tasks: splits, scales and corruption."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import (
    NoisyValues,
    Table,
    classification_task,
    corruption,
    diabetes,
    digits,
    noise,
    noise_grid,
    regression_task,
)
from metaloss.types import TaskLike

VALUES = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
NOISES = [corruption.replaced, corruption.shifted]


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestCorruption:
    @pytest.mark.parametrize("make", NOISES)
    @pytest.mark.parametrize("rate", [0.0, 0.2, 0.6, 1.0])
    def test_the_rate(self, make, rate: float) -> None:
        noisy = make(VALUES, rate, drawn())
        assert noisy.rate == pytest.approx(rate, abs=0.03)
        assert torch.equal(noisy.targets[~noisy.flipped], VALUES[~noisy.flipped])
        assert torch.equal(noisy.original, VALUES)

    @pytest.mark.parametrize("make", NOISES)
    def test_a_greater_rate_corrupts_the_same_and_more(self, make) -> None:
        few, many = (make(VALUES, rate, drawn()).flipped for rate in (0.2, 0.5))
        assert bool(many[few].all())

    @pytest.mark.parametrize("make", NOISES)
    def test_it_is_a_function_of_the_generator(self, make) -> None:
        first, same, other = (make(VALUES, 0.3, drawn(seed)).targets for seed in (1, 1, 2))
        assert torch.equal(first, same)
        assert not torch.equal(first, other)

    def test_replaced_ones_are_spread_over_the_range(self) -> None:
        noisy = corruption.replaced(VALUES, 1.0, drawn()).targets
        low, high = VALUES.amin(dim=0), VALUES.amax(dim=0)
        unit = (noisy - low) / (high - low)
        torch.testing.assert_close(unit.mean(dim=0), torch.full((2,), 0.5), atol=0.02, rtol=0)
        torch.testing.assert_close(unit.std(dim=0), torch.full((2,), 12**-0.5), atol=0.02, rtol=0)

    @pytest.mark.parametrize("shift", [3.0, -2.0])
    def test_shifted_ones_are_on_one_side(self, shift: float) -> None:
        moved = corruption.shifted(VALUES, 1.0, drawn(), shift=shift).targets - VALUES
        lengths = moved / VALUES.std(dim=0) / shift
        assert lengths.min() + 1e-5 >= 0.5
        assert lengths.max() <= 1.5 + 1e-5
        assert lengths.mean() == pytest.approx(1.0, abs=0.02)

    @pytest.mark.bad_input
    @pytest.mark.parametrize("make", NOISES)
    @pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
    def test_rates_out_of_range(self, make, rate: float) -> None:
        with pytest.raises(InputError, match="rate: expected a number in"):
            make(VALUES, rate, drawn())

    @pytest.mark.bad_input
    def test_a_record_that_does_not_go_together(self) -> None:
        with pytest.raises(InputError, match="expected one shape"):
            NoisyValues(VALUES, VALUES[:5])
        with pytest.raises(InputError, match="targets: expected finite values"):
            NoisyValues(VALUES / 0, VALUES)


class TestTask:
    def test_the_parts_are_disjoint_and_make_up_the_whole(self) -> None:
        rows = torch.arange(200.0).unsqueeze(1)
        task = regression_task(
            data=Table(rows, rows, "rows"),
            num_meta=30,
            num_validation=20,
            num_test=50,
            meta_batch_size=30,
        )
        parts = [task.train, task.meta, task.validation, task.test]
        sizes = [part.num_samples for part in parts]
        assert sizes == [100, 30, 20, 50]
        seen = torch.cat([part._inputs for part in parts])
        assert len(seen.unique()) == 200

    def test_units_are_those_of_clean_training_samples(self) -> None:
        task = regression_task(
            data=diabetes, noise=partial(corruption.shifted, rate=0.4), num_meta=60
        )
        clean = task.noise.original
        torch.testing.assert_close(clean.mean(dim=0), torch.zeros(1), atol=1e-5, rtol=0)
        torch.testing.assert_close(clean.std(dim=0), torch.ones(1))
        inputs = task.train._inputs
        torch.testing.assert_close(inputs.mean(dim=0), torch.zeros(10), atol=1e-5, rtol=0)
        torch.testing.assert_close(inputs.std(dim=0), torch.ones(10))
        batch = next(iter(task.train.epoch(0)))
        assert torch.equal(batch.targets, task.train_targets[batch.index])
        assert torch.equal(task.flipped, (task.train_targets != clean)[:, 0])

    def test_it_is_a_task_without_classes(self) -> None:
        task = regression_task(data=diabetes)
        assert isinstance(task, TaskLike)
        assert task.num_classes is None
        assert task.flipped is None
        assert regression_task(data=diabetes, num_meta=0).meta is None

    def test_corruption_moves_no_sample(self) -> None:
        clean, noisy = (
            regression_task(data=diabetes, noise=how, seed=3)
            for how in (None, partial(corruption.replaced, rate=0.3))
        )
        assert torch.equal(clean.test._inputs, noisy.test._inputs)
        assert torch.equal(clean.train_targets, noisy.noise.original)

    def test_a_constant_column_stays_finite(self) -> None:
        table = Table(torch.ones(90, 2), torch.arange(90.0).unsqueeze(1), "flat")
        task = regression_task(
            data=table, num_meta=10, num_test=10, meta_batch_size=10, batch_size=10
        )
        assert torch.isfinite(task.train._inputs).all()

    def test_a_grid_of_corruptions(self) -> None:
        suite = noise_grid(
            task=partial(regression_task, data=diabetes),
            noises={"replaced": corruption.replaced, "shifted": corruption.shifted},
            rates=(0.2, 0.4),
        )
        assert [spec.name for spec in suite][:2] == ["replaced-0.2", "replaced-0.4"]
        task = suite[3].task(seed=0, device="cpu")
        assert task.name == "shifted-0.4"
        assert 0.3 < task.noise.rate < 0.5

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"noise": partial(noise.symmetric, rate=0.4)}, "a function that gives NoisyValues"),
            ({"noise": lambda targets, generator: targets}, "NoisyValues, got Tensor"),
            ({"num_meta": 400}, "expected 442 samples at most"),
            ({"num_meta": -1}, "num_meta"),
            ({"num_test": 0}, "num_test: expected a whole number of at least 1"),
            ({"batch_size": 1000}, "1000"),
        ],
    )
    def test_what_cannot_be_made(self, changed, message: str) -> None:
        with pytest.raises(InputError, match=message):
            regression_task(**{"data": diabetes, **changed})

    @pytest.mark.bad_input
    def test_corrupted_values_are_no_labels(self) -> None:
        noise = partial(corruption.replaced, rate=0.4)
        with pytest.raises(InputError, match="gives NoisyLabels and takes num_classes"):
            classification_task(data=digits, noise=noise, num_test=360)

    def test_an_error_of_the_noise_itself_is_left_as_it_is(self) -> None:
        def broken(targets, generator):
            raise TypeError("its own")

        with pytest.raises(TypeError, match="its own"):
            regression_task(data=diabetes, noise=broken)

    @pytest.mark.bad_input
    @pytest.mark.parametrize(
        ("inputs", "targets", "message"),
        [
            (torch.zeros(3, 2), torch.zeros(3), r"targets of t: expected float32 \[samples, col"),
            (torch.zeros(3, 2).double(), torch.zeros(3, 1), "inputs of t: expected float32"),
            (torch.zeros(3, 2), torch.zeros(4, 1), "a target for each of 3 inputs, got 4"),
            (torch.zeros(3, 2) / 0, torch.zeros(3, 1), "inputs of t: expected finite"),
            (torch.zeros(0, 2), torch.zeros(0, 1), "inputs of t: expected float32"),
        ],
    )
    def test_what_is_no_table(self, inputs, targets, message: str) -> None:
        with pytest.raises(InputError, match=message):
            Table(inputs, targets, "t")
