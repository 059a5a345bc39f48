"""Bad input raises an error of one line with what was expected and what was given."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch

from metaloss import AdjustedLoss, Adjuster, ConstantAdjuster, InputError, OracleAdjuster
from metaloss.conditioners import ClassMargins, Concat, Flipped, LossValue, Margin, MovingAverage
from metaloss.losses import GCE, JS, SL, CrossEntropy, PolySoft, Ranged
from metaloss.meta_losses import MeanLoss

pytestmark = pytest.mark.bad_input

OUTPUTS, TARGETS = torch.linspace(-1, 1, 12).reshape(4, 3), torch.tensor([0, 1, 2, 1])

CRITERIA = {
    "fixed": AdjustedLoss.fixed(GCE()),
    "margin": AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin())),
    "loss value": AdjustedLoss(SL(), LossValue(), Adjuster.for_loss(SL(), LossValue())),
    "flipped": AdjustedLoss(
        GCE(), Flipped(torch.zeros(4).bool()), OracleAdjuster(GCE().hyperparameters)
    ),
}
INDEX = torch.arange(4)


def refused(action, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in ("expected", *words):
        assert word in message, message


def test_parts_of_another_kind():
    refused(lambda: AdjustedLoss.fixed("gce"), "loss: expected a LossFamily, got a str")  # type: ignore[arg-type]
    refused(lambda: AdjustedLoss.fixed(GCE(), 0.7), "dictionary by name, such as {'q': 0.7}")  # type: ignore[arg-type]
    refused(lambda: MeanLoss(GCE(), 0.5), "values: expected a dictionary by name")  # type: ignore[arg-type]
    oracle = OracleAdjuster(GCE().hyperparameters)
    refused(lambda: AdjustedLoss(GCE(), Margin(), oracle), "Flipped(...)", "got Margin")


@pytest.mark.parametrize("name", ["plain_loss", "hparams", "features", "observe", "per_sample"])
def test_labels_out_of_range_in_other_calls(name: str):
    conditioner = ClassMargins()
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner))
    criterion.prepare(TARGETS, 3)
    refused(lambda: getattr(criterion, name)(OUTPUTS, TARGETS + 3), "labels in 0..2", "3..5")


# The checks come before the conditioner: one without and one that needs sample ids will do.
@pytest.mark.parametrize(
    "criterion", [CRITERIA["fixed"], CRITERIA["flipped"]], ids=["fixed", "flipped"]
)
class TestCall:
    def test_good_input_passes(self, criterion: AdjustedLoss):
        assert torch.isfinite(criterion(OUTPUTS, TARGETS, INDEX))

    @pytest.mark.parametrize(
        ("targets", "found"),
        [([0, 1, 3, 1], "0..3"), ([0, -1, 2, 1], "-1..2"), ([0, 1, -99, 1], "-99..1")],
    )
    def test_labels_out_of_range(self, criterion: AdjustedLoss, targets: list[int], found: str):
        refused(lambda: criterion(OUTPUTS, torch.tensor(targets), INDEX), "0..2", found)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_logits_that_are_not_finite(self, criterion: AdjustedLoss, value: float):
        outputs = OUTPUTS.clone()
        outputs[1, 2] = value
        refused(lambda: criterion(outputs, TARGETS, INDEX), "outputs", "finite", "1 of 12")

    @pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.bool])
    def test_targets_of_another_dtype(self, criterion: AdjustedLoss, dtype: torch.dtype):
        refused(
            lambda: criterion(OUTPUTS, TARGETS.to(dtype), INDEX), "targets", "int64", str(dtype)
        )

    @pytest.mark.parametrize("as_given", [list, np.asarray], ids=["list", "array"])
    def test_arguments_that_are_not_tensors(self, criterion: AdjustedLoss, as_given):
        outputs, targets = as_given(OUTPUTS.tolist()), as_given(TARGETS.tolist())
        kind = type(targets).__name__
        refused(lambda: criterion(outputs, TARGETS, INDEX), "outputs", f"got a {kind}; torch.as")
        refused(lambda: criterion(OUTPUTS, targets, INDEX), "targets", f"got a {kind}; torch.as")
        refused(lambda: criterion.prepare(targets, 3), "targets", f"got a {kind}; torch.as")
        if criterion.conditioner is not None and criterion.conditioner.needs_index:
            index = as_given(INDEX.tolist())
            refused(lambda: criterion(OUTPUTS, TARGETS, index), "index", f"got a {kind}; torch.as")

    def test_targets_of_another_shape(self, criterion: AdjustedLoss):
        one_hot = torch.eye(3, dtype=torch.int64)[TARGETS]
        refused(lambda: criterion(OUTPUTS, one_hot, INDEX), "targets", "[4, 3]")
        refused(lambda: criterion(OUTPUTS, TARGETS[:, None], INDEX), "targets", "[4, 1]")
        refused(lambda: criterion(OUTPUTS, TARGETS[0], INDEX), "targets", "[]")

    @pytest.mark.parametrize("call", ["forward", "per_sample", "features"])
    def test_targets_of_another_batch(self, criterion: AdjustedLoss, call: str):
        call = getattr(criterion, call)
        refused(lambda: call(OUTPUTS, TARGETS[:3], INDEX), "4 and 3")
        refused(lambda: call(OUTPUTS[:3], TARGETS, INDEX), "3 and 4")

    @pytest.mark.parametrize("shape", [(), (4,), (12,), (4, 3, 1), (1, 4, 3)])
    def test_outputs_of_another_rank(self, criterion: AdjustedLoss, shape: tuple[int, ...]):
        refused(lambda: criterion(torch.zeros(shape), TARGETS, INDEX), "outputs", str(list(shape)))

    def test_outputs_of_another_dtype(self, criterion: AdjustedLoss):
        refused(lambda: criterion(OUTPUTS.long(), TARGETS, INDEX), "outputs", "torch.int64")

    def test_one_class(self, criterion: AdjustedLoss):
        refused(lambda: criterion(OUTPUTS[:, :1], TARGETS * 0, INDEX), "two classes", "1")

    def test_an_empty_batch(self, criterion: AdjustedLoss):
        """Its mean would be NaN."""
        refused(lambda: criterion(OUTPUTS[:0], TARGETS[:0], INDEX[:0]), "expected one or more")


class TestIndex:
    @pytest.mark.parametrize(
        "conditioner",
        [
            Flipped(torch.zeros(4).bool()),
            MovingAverage(Margin()),
            Concat([Margin(), MovingAverage(Margin())]),
        ],
    )
    def test_missing(self, conditioner):
        criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner))
        criterion.prepare(TARGETS, 3)
        words = r"addresses samples by their ids: call the criterion as .*\(outputs, targets, index"
        with pytest.raises(InputError, match=words):
            criterion(OUTPUTS, TARGETS)

    @pytest.mark.parametrize("index", [INDEX[:1], INDEX[:, None], INDEX.float(), INDEX.bool()])
    @pytest.mark.parametrize(
        "conditioner", [Flipped(torch.zeros(4).bool()), MovingAverage(Margin())]
    )
    def test_of_another_kind(self, conditioner, index: torch.Tensor):
        criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner))
        criterion.prepare(TARGETS, 3)
        refused(lambda: criterion(OUTPUTS, TARGETS, index), "index", "int64", "[4]")


class TestConstruction:
    def test_an_adjuster_of_another_loss(self):
        refused(
            lambda: AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(SL(), Margin())),
            "GCE's (q in [0, 1])",
            "gamma_1 in [0, 1], gamma_2 in [0, 1]",
        )
        refused(lambda: AdjustedLoss(CrossEntropy(), None, ConstantAdjuster(GCE().hyperparameters)))

    def test_an_adjuster_for_other_ranges(self):
        narrow = Ranged(GCE(), {"q": (0.2, 0.8)})
        refused(
            lambda: AdjustedLoss(narrow, Margin(), Adjuster.for_loss(GCE(), Margin())),
            "[0.2, 0.8]",
            "[0, 1]",
        )

    def test_an_adjuster_that_reads_other_features(self):
        both = Concat([Margin(), LossValue()])
        refused(lambda: AdjustedLoss(GCE(), both, Adjuster.for_loss(GCE(), Margin())), "2", "1")
        refused(lambda: AdjustedLoss(GCE(), None, Adjuster.for_loss(GCE(), Margin())), "0", "1")
        refused(lambda: AdjustedLoss(JS(), both, OracleAdjuster(JS().hyperparameters)), "2", "1")

    def test_an_adjuster_that_reads_nothing_goes_with_everything(self):
        for conditioner in (None, Margin(), Concat([Margin(), LossValue()])):
            criterion = AdjustedLoss(
                PolySoft(), conditioner, ConstantAdjuster(PolySoft().hyperparameters)
            )
            assert torch.isfinite(criterion(OUTPUTS, TARGETS))

    def test_fixed_values(self):
        refused(lambda: AdjustedLoss.fixed(GCE(), {"q": 2.0}), "q", "[0, 1]", "2.0")
        refused(lambda: AdjustedLoss.fixed(GCE(), {"p": 0.5}), "(q)", "'p'")


@pytest.mark.parametrize("fraction", [-0.01, 1.01, math.nan, math.inf, "0.5", None, True])
def test_progress_out_of_range(fraction):
    criterion = CRITERIA["margin"]
    refused(lambda: criterion.progress(fraction), "progress", "[0, 1]", repr(fraction))


@pytest.mark.parametrize(
    ("targets", "num_classes", "words"),
    [
        (torch.tensor([0, 1, 5]), 3, ("targets", "0..2", "0..5")),
        (torch.tensor([0.0, 1.0]), 3, ("targets", "int64")),
        (torch.tensor([0, 1]), 1, ("num_classes", "at least 2")),
        (torch.tensor([0, 1]), "10", ("num_classes", "'10'")),
    ],
)
def test_invalid_training_targets(targets, num_classes, words: tuple[str, ...]):
    refused(lambda: CRITERIA["margin"].prepare(targets, num_classes), *words)


@pytest.mark.parametrize("label", [3, -1, -99])
@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=CRITERIA.keys())
def test_a_label_out_of_range_is_compared_with_the_number_of_outputs(criterion, label: int):
    """The labels may be right and the network too small."""
    targets = torch.tensor([0, 1, label, 1])
    words = ("targets for outputs of 3 classes: expected labels in 0..2", str(label))
    refused(lambda: criterion.per_sample(OUTPUTS, targets, INDEX), *words)


def test_other_errors_pass_through():
    class Broken(GCE):
        def per_sample(self, outputs, targets, hparams):
            raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        AdjustedLoss.fixed(Broken()).per_sample(OUTPUTS, TARGETS)


@pytest.mark.parametrize(
    ("outputs", "advice"),
    [
        ({"logits": (OUTPUTS,)}, "a dict"),
        ({"head": OUTPUTS}, "a dict; pass the tensor in it that is meant"),
        ((OUTPUTS, OUTPUTS), "a tuple; pass the tensor in it that is meant"),
        (None, "got None"),
    ],
    ids=["logits of two heads", "dict", "tuple", "None"],
)
def test_outputs_that_hold_no_logits(outputs, advice: str):
    for call in (CRITERIA["margin"], CRITERIA["margin"].per_sample, CRITERIA["fixed"].features):
        refused(partial(call, outputs, TARGETS), "outputs", advice)


@pytest.mark.parametrize(
    ("targets", "advice"),
    [
        (["cat", "dog"], "a list of names; number them from 0"),
        (np.array(["cat", "dog"]), "a ndarray of names; number them from 0"),
        ([0, 1], "a list; torch.as_tensor makes it a tensor"),
        (np.array([0, 1]), "a ndarray; torch.as_tensor makes it a tensor"),
        ([[0], [1, 2]], "got a list"),
        (iter([0, 1]), "got a list_iterator"),
        ("cat", "got a str"),
        (None, "got None"),
    ],
    ids=["names", "array of names", "list", "array", "ragged", "iterator", "text", "None"],
)
def test_the_advice_makes_a_tensor(targets, advice: str):
    refused(lambda: CRITERIA["margin"].prepare(targets, 3), "targets", advice)
    try:
        torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError):
        assert "as_tensor" not in advice


def test_the_loss_of_each_sample_looks_at_values_too():
    criterion = CRITERIA["margin"]
    refused(lambda: criterion.losses(OUTPUTS, torch.tensor([0, 1, -99, 1])), "-99..1")
    refused(lambda: criterion.losses(OUTPUTS * math.nan, TARGETS), "outputs", "finite")


class TestAnotherNumberOfClasses:
    """Features of a margin among other classes mean something else; often it is a mistake."""

    WIDER = torch.zeros(4, 5)

    def criterion(self) -> AdjustedLoss:
        return AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))

    def test_is_refused_after_a_call_in_training(self):
        criterion = self.criterion()
        criterion(OUTPUTS.clone().requires_grad_(), TARGETS)
        for again in (criterion, copy.deepcopy(criterion)):
            refused(lambda c=again: c(self.WIDER, TARGETS), "3 classes, as this criterion", "got 5")
            refused(lambda c=again: c.eval()(self.WIDER, TARGETS), "3 classes", "got 5")
            refused(lambda c=again: c.per_sample(self.WIDER, TARGETS), "3 classes", "got 5")

    def test_is_refused_until_the_next_run(self):
        criterion = self.criterion()
        criterion.prepare(TARGETS, 3)
        criterion(self.WIDER.requires_grad_(), TARGETS)  # more outputs than classes
        refused(lambda: criterion(OUTPUTS, TARGETS), "5 classes", "got 3")
        criterion.prepare(TARGETS, 3)
        assert torch.isfinite(criterion(OUTPUTS, TARGETS))

    def test_is_refused_in_dense_outputs(self):
        criterion = self.criterion()
        criterion(torch.zeros(2, 3, 2, requires_grad=True), TARGETS.reshape(2, 2))
        refused(lambda: criterion(torch.zeros(2, 5, 2), TARGETS.reshape(2, 2)), "3 classes")

    def test_is_taken_before_training_after_loading_and_by_a_fixed_loss(self):
        criterion = self.criterion()
        criterion.eval()(OUTPUTS, TARGETS)
        criterion.train()(self.WIDER.requires_grad_(), TARGETS)
        criterion.load_state_dict(criterion.state_dict())
        assert torch.isfinite(criterion(OUTPUTS, TARGETS))
        for outputs in (OUTPUTS, self.WIDER):
            assert torch.isfinite(CRITERIA["fixed"](outputs, TARGETS))
