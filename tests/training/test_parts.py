"""The small parts of training, each by itself."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster, OracleAdjuster
from metaloss.adjusters import GroupedAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import ClassGroup, Concat, Margin, MovingAverage
from metaloss.experiments import Adjusted, Conventional, Oracle, collect
from metaloss.experiments.checkpoint import load_checkpoint, save_checkpoint
from metaloss.experiments.results import last_epochs_mean, row
from metaloss.losses import GCE, CrossEntropy
from metaloss.training import Recipe, TrainState, evaluate
from metaloss.training.epoch_metrics import EpochMetrics
from metaloss.training.streams import stream, windows
from tests.helpers.tasks import blobs


class TestStreams:
    def test_stream_goes_through_epoch_after_epoch(self) -> None:
        loader = blobs().train
        expected = [b.index for epoch in range(2) for b in loader.epoch(epoch)]
        for start in (0, 1, len(loader), len(loader) + 2):
            got = islice(stream(loader, start), len(expected) - start)
            assert all(torch.equal(a.index, b) for a, b in zip(got, expected[start:], strict=True))

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_windows_slide(self, size: int) -> None:
        got = list(windows(iter(range(5)), size))
        assert got == [list(range(k, k + size)) for k in range(6 - size)]


class TestRecipe:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
            ({"epochs": 1, "meta_every": 0}, "meta_every"),
            ({"epochs": 2, "warmup_epochs": 2}, "warmup_epochs: expected fewer than 2"),
            ({"epochs": 2, "snapshots": (0.5, 0.25, 1.0)}, "snapshots"),
            ({"epochs": 2, "snapshots": (0.5,)}, "snapshots"),
            ({"epochs": 2, "snapshots": ()}, "snapshots"),
        ],
    )
    def test_bad_settings(self, arguments, message) -> None:
        with pytest.raises(InputError, match=message):
            Recipe(**arguments)

    def test_defaults_are_the_papers(self) -> None:
        recipe = Recipe(epochs=120)
        (group,) = recipe.optimizer([nn.Parameter(torch.zeros(1))]).param_groups
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.9, 5e-4)
        meta = recipe.meta_optimizer([nn.Parameter(torch.zeros(1))])
        assert type(meta) is torch.optim.Adam
        assert (meta.param_groups[0]["lr"], meta.param_groups[0]["weight_decay"]) == (1e-3, 1e-4)
        assert recipe.meta_every == 10


class TestEpochMetrics:
    def test_means_over_batches_of_different_sizes(self) -> None:
        flipped = torch.tensor([True, False, False, True, False])
        metrics = EpochMetrics(GCE().hyperparameters, flipped)
        q = torch.tensor([0.9, 0.1, 0.2, 0.8, 0.3])
        losses = torch.arange(5.0)
        outputs = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1])]
        targets = torch.tensor([0, 1, 0, 1, 1])
        for part in (slice(0, 2), slice(2, 5)):
            index = torch.arange(5)[part]
            metrics.add_batch(losses[part], q[part, None], outputs[part], targets[part], index)
        means = metrics.means()
        assert metrics.samples == 5
        assert means["train_loss"] == pytest.approx(2.0)
        assert means["train_accuracy"] == pytest.approx(60.0)
        assert means["q_mean"] == pytest.approx(0.46)
        assert means["q_flipped"] == pytest.approx(0.85)
        assert means["q_clean"] == pytest.approx(0.2)
        assert means["train_loss_flipped"] == pytest.approx(1.5)
        assert means["train_loss_clean"] == pytest.approx(7 / 3)
        assert means["train_accuracy_flipped"] == pytest.approx(50.0)
        assert means["train_accuracy_clean"] == pytest.approx(200 / 3)

    def test_nothing_is_told_apart_where_it_is_not_known(self) -> None:
        metrics = EpochMetrics(GCE().hyperparameters)
        batch = torch.tensor([1.0, 3.0]), torch.tensor([[0.25], [0.75]]), torch.eye(2)
        metrics.add_batch(*batch, torch.tensor([0, 0]), torch.arange(2))
        expected = {"train_loss": 2.0, "train_accuracy": 50.0, "q_mean": 0.5}
        assert metrics.means() == pytest.approx(expected)

    def test_a_mean_over_nothing_is_left_out(self) -> None:
        metrics = EpochMetrics(GCE().hyperparameters, torch.tensor([False, False]))
        metrics.add_batch(
            torch.ones(2), torch.ones(2, 1), torch.eye(2), torch.tensor([0, 1]), torch.arange(2)
        )
        assert "q_flipped" not in metrics.means()
        assert metrics.means()["q_clean"] == 1.0


def test_last_epochs_mean_is_never_the_best() -> None:
    values = (99.0, 1.0, 2.0, 3.0)
    records = [{"epoch": i, "test_accuracy": value} for i, value in enumerate(values, start=1)]
    assert last_epochs_mean(records, "test_accuracy", last=3) == 2.0
    assert last_epochs_mean(records, "test_accuracy", last=9) == pytest.approx(105 / 4)
    with pytest.raises(InputError, match="one epoch or more"):
        last_epochs_mean([], "test_accuracy")


def test_a_row_has_the_sample_deviation() -> None:
    runs = [{"seed": 3, "accuracy": 1.0}, {"seed": 5, "accuracy": 4.0}]
    assert row("m", runs)["accuracy_std"] == pytest.approx((2 * 1.5**2) ** 0.5)
    assert row("m", runs[:1])["accuracy_std"] is None


def test_evaluate_puts_the_mode_back_and_counts() -> None:
    task = blobs()
    model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.9))
    for training in (True, False):
        model.train(training)
        found = evaluate(model, task.test)
        assert model.training is training
    batch = next(iter(task.test.epoch(0)))
    right = model.eval()(batch.inputs).argmax(1) == batch.targets
    assert found.score == pytest.approx(100 * right.float().mean().item())


def test_evaluate_does_not_pass_over_batches_that_are_missing() -> None:
    class Short:
        num_samples = 60

        def __len__(self) -> int:
            return 4

        def epoch(self, number: int):
            return islice(task.test.epoch(number), kept)

    task = blobs()
    for kept in (0, 1):
        with pytest.raises(InputError, match=f"to evaluate on: expected 4 batches, got {kept}"):
            evaluate(nn.Linear(5, 3), Short())


class TestMethods:
    def test_conventional_is_constant(self) -> None:
        criterion = Conventional(name="GCE", loss=GCE(), values={"q": 0.3}).criterion(blobs())
        found = criterion.per_sample(torch.randn(4, 3), torch.arange(4) % 3)
        assert torch.equal(found.hparams, torch.full((4, 1), 0.3))

    def test_each_adjusted_run_has_its_own_conditioner_and_adjuster(self) -> None:
        task = blobs()
        method = Adjusted(name="A", loss=GCE(), conditioner=MovingAverage(Margin()))
        first, second = method.criterion(task), method.criterion(task)
        first.prepare(task.train_targets, 3)
        assert len(first.conditioner.memory) == 60
        assert len(second.conditioner.memory) == 0
        assert first.adjuster is not second.adjuster

    def test_adjusted_reads_the_margin_unless_told(self) -> None:
        criterion = Adjusted(name="A", loss=GCE()).criterion(blobs())
        assert type(criterion.conditioner) is Margin
        assert type(criterion.adjuster) is Adjuster

    def test_any_adjuster_class_will_do(self) -> None:
        from functools import partial

        groups = ClassGroup(num_groups=2, groups=(0, 1, 1))
        method = Adjusted(
            name="A",
            loss=GCE(),
            conditioner=Concat([Margin(), groups]),
            adjuster=partial(GroupedAdjuster, num_groups=2),
        )
        assert type(method.criterion(blobs()).adjuster) is GroupedAdjuster

    def test_oracle_is_told(self) -> None:
        task = blobs()
        criterion = Oracle(name="o", loss=GCE()).criterion(task)
        assert type(criterion.adjuster) is OracleAdjuster
        batch = next(iter(task.train.epoch(0)))
        found = criterion.per_sample(torch.randn(10, 3), batch.targets, batch.index)
        assert torch.equal(found.hparams[:, 0] == 1.0, task.flipped[batch.index])

    def test_oracle_needs_a_task_that_knows(self) -> None:
        task = blobs()
        task.flipped = None
        with pytest.raises(InputError, match="knows its wrong labels"):
            Oracle(name="o", loss=GCE()).criterion(task)

    def test_a_loss_with_nothing_to_adjust_is_refused(self) -> None:
        with pytest.raises(InputError, match="nothing to"):
            Adjusted(name="A-CE", loss=CrossEntropy()).criterion(blobs())


class TestCheckpoint:
    def make(self) -> TrainState:
        method = Adjusted(name="A", loss=GCE(), conditioner=MovingAverage(Margin()))
        task = blobs()
        return TrainState.start(nn.Linear(5, 3), method.criterion(task), task, Recipe(epochs=1))

    def test_round_trip(self, tmp_path) -> None:
        state, other = self.make(), self.make()
        state.criterion.conditioner.memory.normal_()
        state.step, state.meta_step = 7, 3
        state.meta_learner.keep_snapshot(0.5)
        save_checkpoint(tmp_path / "c.pt", state)
        load_checkpoint(tmp_path / "c.pt", other)
        assert (other.step, other.meta_step) == (7, 3)
        for ours, theirs in [(state.model, other.model), (state.criterion, other.criterion)]:
            expected = ours.state_dict()
            assert all(torch.equal(expected[k], v) for k, v in theirs.state_dict().items())
        ((fraction, snapshot),) = other.meta_learner.snapshots
        assert fraction == 0.5
        assert torch.equal(snapshot["net.0.bias"], state.criterion.adjuster.net[0].bias)

    @pytest.mark.parametrize("damage", ["empty", "half", "text", "a list", "another model"])
    def test_damage_is_told(self, tmp_path, damage: str) -> None:
        path = tmp_path / "c.pt"
        save_checkpoint(path, self.make())
        state = self.make()
        if damage == "empty":
            path.write_bytes(b"")
        elif damage == "text":
            path.write_bytes(b"garbage")
        elif damage == "a list":
            torch.save([1, 2], path)
        elif damage == "half":
            path.write_bytes(path.read_bytes()[:1000])
        else:
            state.model = nn.Linear(4, 3)
        with pytest.raises(InputError, match="expected a checkpoint of this run"):
            load_checkpoint(path, state)


def test_collect_reads_every_training_sample_in_order() -> None:
    task = blobs(batch_size=16)  # the last batch is not full, and training leaves it out
    assert 16 * len(task.train) < 60
    model = nn.Linear(5, 3)
    criterion = Adjusted(name="A", loss=GCE()).criterion(task)
    samples = collect(model, criterion, task.train)
    assert torch.equal(samples["index"], torch.arange(60))
    assert torch.equal(samples["targets"], task.train_targets)
    assert samples["hparams"].shape == (60, 1)
    batch = next(iter(task.train.epoch(5)))
    expected = criterion.per_sample(model(batch.inputs), batch.targets)
    torch.testing.assert_close(samples["losses"][batch.index], expected.losses)
    margin = Margin()(model(batch.inputs), batch.targets)[:, 0]
    torch.testing.assert_close(samples["margin"][batch.index], margin)


def test_collect_numbers_samples_without_ids_through() -> None:
    task = blobs()

    class Anonymous:
        num_samples = 60

        def __len__(self) -> int:
            return 6

        def epoch(self, number: int):
            return (batch._replace(index=None) for batch in task.train.epoch(number))

    model = nn.Linear(5, 3)
    criterion = AdjustedLoss.fixed(GCE())
    samples = collect(model, criterion, Anonymous())
    assert torch.equal(samples["index"], torch.arange(60))
    targets = torch.cat([batch.targets for batch in task.train.epoch(0)])
    assert torch.equal(samples["targets"], targets)
