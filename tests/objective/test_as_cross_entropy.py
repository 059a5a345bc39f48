"""Whatever nn.CrossEntropyLoss takes, a criterion of fixed cross entropy returns the same."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import metaloss
from metaloss import AdjustedLoss, Adjuster
from metaloss.checks import InputError
from metaloss.conditioners import (
    ClassMargins,
    Concat,
    Conditioner,
    LossValue,
    Magnitude,
    Margin,
    MovingAverage,
    RunningMean,
)
from metaloss.kinds import REGRESSION
from metaloss.losses import GCE, Barron, CrossEntropy
from metaloss.objective.reduction import reduced
from metaloss.objective.samples import Samples, as_samples
from tests.helpers import states
from tests.helpers.exhaustive import mostly_exhaustive

CLASSES = 5
SHAPES = {
    "batch": (7,),
    "one": (1,),
    "unbatched": (),
    "sequence": (3, 4),
    "image": (2, 3, 4),
    "volume": (2, 2, 3, 2),
}
WEIGHTS = {"unweighted": None, "weights": torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0]).double()}
IGNORE = {"default": -100, "a class": 1, "other": 255}
REDUCTIONS = ["mean", "sum", "none"]


def drawn(shape: tuple[int, ...], ignored: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits_shape = (*shape[:1], CLASSES, *shape[1:])
    outputs = torch.randn(logits_shape, generator=generator, dtype=torch.float64)
    targets = torch.randint(CLASSES, shape, generator=generator)
    if ignored is not None and targets.numel() > 1:
        targets.view(-1)[::3] = ignored
    return outputs.requires_grad_(), targets


@pytest.mark.parametrize("shape", mostly_exhaustive(SHAPES, "batch", "unbatched", "image"))
@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("ignored", mostly_exhaustive(IGNORE, "default", "a class"))
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_values_and_gradients_are_torchs(shape, weight, ignored: int, reduction: str) -> None:
    outputs, targets = drawn(shape, ignored)
    settings = {"reduction": reduction, "ignore_index": ignored, "weight": weight}
    expected = nn.CrossEntropyLoss(**settings)(outputs, targets)
    criterion = AdjustedLoss.fixed(CrossEntropy(), **settings)
    found = criterion(outputs, targets)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    directions = torch.randn(expected.shape, dtype=torch.float64)
    one, other = (torch.autograd.grad((v * directions).sum(), outputs) for v in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)
    each = nn.CrossEntropyLoss(**{**settings, "reduction": "none"})(outputs, targets)
    torch.testing.assert_close(criterion.losses(outputs, targets), each, rtol=1e-12, atol=1e-14)
    per_sample = criterion.per_sample(outputs, targets)
    torch.testing.assert_close(per_sample.losses, each, rtol=1e-12, atol=1e-14)
    assert per_sample.hparams.shape == (*shape, 0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_as_on_an_accelerator_where_nothing_is_read(reduction: str, weight, monkeypatch) -> None:
    """Masks are used there even if no label is ignored."""
    monkeypatch.setattr("metaloss.objective.samples.readable", lambda _: False)
    for ignored in (None, -100):
        outputs, targets = drawn((2, 3, 4), ignored)
        settings = {"reduction": reduction, "weight": weight}
        found = AdjustedLoss.fixed(CrossEntropy(), **settings)(outputs, targets)
        expected = nn.CrossEntropyLoss(**settings)(outputs, targets)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    outputs, targets = drawn((7,))
    nothing = AdjustedLoss.fixed(CrossEntropy())(outputs, torch.full_like(targets, -100))
    assert nothing.isnan()  # as torch's


def test_a_position_is_a_sample() -> None:
    outputs, targets = drawn((2, 3, 4))
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin())).double()
    found = criterion.per_sample(outputs, targets)
    assert found.hparams.shape == (2, 3, 4, 1)
    for b, i, j in ((0, 0, 0), (1, 2, 3), (0, 1, 2)):
        alone = criterion.per_sample(outputs[b, :, i, j][None], targets[b, i, j][None])
        torch.testing.assert_close(found.losses[b, i, j], alone.losses[0])
        torch.testing.assert_close(found.hparams[b, i, j], alone.hparams[0])
    assert criterion.features(outputs, targets).shape == (2, 3, 4, 1)
    single = criterion.per_sample(outputs[0, :, 0, 0], targets[0, 0, 0])
    assert single.losses.shape == () and single.hparams.shape == (1,)


class Counts(Conditioner):
    """A conditioner whose hook does not know of ignored samples."""

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(CLASSES))

    def forward(self, outputs, targets, index=None):
        return outputs[:, :1]

    def observe(self, outputs, targets, index=None):
        self.counts += torch.bincount(targets, minlength=CLASSES)


REMEMBERING = {
    "RunningMean": lambda: RunningMean(Margin()),
    "RunningMean twice": lambda: RunningMean(RunningMean(LossValue())),
    "ClassMargins": ClassMargins,
    "MovingAverage": lambda: MovingAverage(Margin()),
    "Concat": lambda: Concat([RunningMean(Margin()), ClassMargins(), Magnitude(ClassMargins())]),
    "average in average": lambda: Magnitude(RunningMean(MovingAverage(Margin()))),
    "its own": Counts,
    "its own, inside": lambda: Concat([Margin(), RunningMean(Counts())]),
}


@pytest.mark.parametrize("build", REMEMBERING.values(), ids=REMEMBERING)
@pytest.mark.parametrize("by", ["call", "observe"])
def test_ignored_samples_are_not_remembered(build, by: str) -> None:
    conditioner = build()
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner)).double()
    criterion.prepare(torch.arange(9) % CLASSES, CLASSES)
    without = copy.deepcopy(criterion)
    index = torch.arange(9)
    for seed in range(3):
        torch.manual_seed(seed)
        outputs, targets = torch.randn(9, CLASSES).double(), torch.randint(CLASSES, (9,))
        kept = torch.rand(9) < 0.6
        marked = torch.where(kept, targets, -100)
        few = outputs[kept], targets[kept], index[kept]
        if by == "observe":
            criterion.observe(outputs, marked, index)
            without.observe(*few)
        else:
            found = criterion(outputs, marked, index)
            torch.testing.assert_close(found, without(*few), rtol=1e-12, atol=1e-14)
        found, expected = (list(c.conditioner.buffers()) for c in (criterion, without))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    before = states.of_module(criterion)
    nothing = torch.full((9,), -100)
    criterion.reduction = "sum"
    assert criterion(outputs, nothing, index) == 0.0
    if not isinstance(conditioner, ClassMargins | Concat):
        assert states.same(states.of_module(criterion), before)


def test_of_nothing_class_margins_keep_their_means() -> None:
    conditioner = ClassMargins().double()
    conditioner.prepare(torch.arange(CLASSES), CLASSES)
    outputs, targets = drawn((7,))
    conditioner.observe(outputs.detach(), targets)
    before = conditioner(outputs.detach(), targets)
    conditioner.observe(outputs.detach(), targets, kept=torch.zeros(7, dtype=torch.bool))
    torch.testing.assert_close(conditioner(outputs.detach(), targets), before)


def test_ids_of_positions() -> None:
    conditioner = MovingAverage(Margin())
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner)).double()
    criterion.prepare(torch.arange(12) % CLASSES, CLASSES)
    outputs, targets = drawn((3, 4))
    criterion(outputs, targets, torch.arange(12).view(3, 4))
    rows = outputs.detach().movedim(1, -1).reshape(12, CLASSES)
    expected = Margin()(rows, targets.view(-1)).float()
    torch.testing.assert_close(conditioner.memory.float(), expected)


def test_regression_is_reduced_too() -> None:
    outputs, targets = torch.randn(6, 2), torch.randn(6, 2)
    each = AdjustedLoss.fixed(Barron()).losses(outputs, targets)
    for reduction, expected in (("mean", each.mean()), ("sum", each.sum()), ("none", each)):
        found = AdjustedLoss.fixed(Barron(), reduction=reduction)(outputs, targets)
        torch.testing.assert_close(found, expected)


def test_outputs_that_hold_logits() -> None:
    criterion = AdjustedLoss.fixed(CrossEntropy())
    outputs, targets = drawn((3, 4))
    expected = criterion(outputs, targets)
    tokens = outputs.movedim(1, -1)  # as models of transformers return them
    for held in ({"logits": tokens}, SimpleNamespace(logits=tokens)):
        torch.testing.assert_close(criterion(held, targets), expected)
    flat, labels = drawn((7,))
    assert torch.equal(criterion({"logits": flat}, labels), criterion(flat, labels))


def test_it_is_saved_with_its_weights() -> None:
    weight = torch.rand(CLASSES)
    criterion = AdjustedLoss.fixed(CrossEntropy(), weight=weight)
    assert torch.equal(criterion.state_dict()["weight"], weight)
    assert "weight" not in AdjustedLoss.fixed(CrossEntropy()).state_dict()


def test_a_learned_adjuster_takes_the_same_settings() -> None:
    weight = torch.rand(CLASSES)
    settings = {"reduction": "none", "ignore_index": 3, "weight": weight}
    criterion = metaloss.from_pretrained("gce-fashion-mnist-statistics", **settings)
    criterion.progress(1.0)
    plain = metaloss.from_pretrained("gce-fashion-mnist-statistics")
    plain.progress(1.0)
    outputs, targets = drawn((2, 3, 4), 3)
    found = criterion(outputs, targets)
    labels = torch.where(targets == 3, 0, targets)
    expected = (plain.losses(outputs, labels) * weight[labels]).where(targets != 3, 0.0)
    torch.testing.assert_close(found, expected)


def test_a_mean_is_that_of_the_formula() -> None:
    outputs, targets = torch.zeros(4, 3), torch.tensor([0, 2, -100, 1])
    samples = as_samples(AdjustedLoss.fixed(GCE()).loss.kind, outputs, targets, None, -100)
    assert isinstance(samples, Samples)
    weight, losses = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 10.0, 1e6, 100.0])
    found = reduced(losses, samples, weight, "mean")
    assert found == pytest.approx((1 * 1 + 4 * 10 + 2 * 100) / 7)


@pytest.mark.bad_input
class TestRefused:
    def test_settings(self) -> None:
        def refused(words: str, loss=None, **settings) -> None:
            with pytest.raises(InputError, match=words):
                AdjustedLoss.fixed(CrossEntropy() if loss is None else loss, **settings)

        refused("reduction: expected one of .*'none'.*, got 'avg'", reduction="avg")
        refused("reduction: expected", reduction=None)
        refused("ignore_index: expected a whole number, got None", ignore_index=None)
        refused("ignore_index: expected a whole number, got 0.5", ignore_index=0.5)
        for bad in (-1.0, float("nan"), float("inf")):
            weight = torch.tensor([1.0, bad, 1.0])
            refused("weight: expected numbers of at least 0, got 1 of 3", weight=weight)
        refused(r"weight: expected floating-point \[classes\], got a list", weight=[1.0, 2.0])
        refused(r"weight: expected .*, got torch.int64 \[3\]", weight=torch.arange(3))
        refused(r"weight: expected .*, got torch.float32 \[1, 3\]", weight=torch.ones(1, 3))
        assert Barron().kind == REGRESSION
        refused("expected none for regression.*got a weight", Barron(), weight=torch.ones(2))
        refused("expected none for regression.*got ignore_index 0", Barron(), ignore_index=0)

    @pytest.mark.parametrize("shape", [(7,), (2, 3, 4)])
    def test_probabilities(self, shape: tuple[int, ...]) -> None:
        outputs, _ = drawn(shape)
        mixed = outputs.detach().softmax(dim=1)
        with pytest.raises(InputError, match=r"one label, got torch.float64 .*mixup") as caught:
            AdjustedLoss.fixed(CrossEntropy())(outputs, mixed)
        assert "\n" not in str(caught.value)

    def test_a_mean_over_nothing(self) -> None:
        outputs, targets = drawn((7,))
        criterion = AdjustedLoss.fixed(CrossEntropy())
        with pytest.raises(InputError, match=r"got none that is not ignored$"):
            criterion(outputs, torch.full_like(targets, -100))
        criterion = AdjustedLoss.fixed(CrossEntropy(), weight=WEIGHTS["weights"])
        with pytest.raises(InputError, match="whose class has a weight above 0"):
            criterion(outputs, torch.full_like(targets, 2))

    def test_weights_of_other_classes(self) -> None:
        criterion = AdjustedLoss.fixed(CrossEntropy(), weight=torch.ones(4))
        with pytest.raises(InputError, match=r"weight: expected one for each of 5 classes.* got 4"):
            criterion(*drawn((7,)))

    def test_positions_without_labels(self) -> None:
        outputs, targets = drawn((2, 3, 4))
        words = r"targets: expected a label for each position .*\[2, 3, 4\], got \[2, 4, 3\]"
        with pytest.raises(InputError, match=words):
            AdjustedLoss.fixed(CrossEntropy())(outputs, targets.mT)

    def test_labels_out_of_range_among_positions(self) -> None:
        outputs, targets = drawn((2, 3, 4), -100)
        targets[1, 1, 1] = CLASSES
        for call in ("losses", "forward", "per_sample"):
            with pytest.raises(InputError, match=r"labels in 0..4, got 0..5"):
                getattr(AdjustedLoss.fixed(CrossEntropy()), call)(outputs, targets)
