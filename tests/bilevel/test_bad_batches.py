"""Batches, labels and models that a lookahead cannot handle raise errors of one line."""

from __future__ import annotations

from collections import UserDict

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from metaloss.bilevel import Lookahead
from metaloss.bilevel.lookahead import STRATEGIES
from tests.bilevel.cases import training
from tests.bilevel.models import CLASSES, mlp
from tests.bilevel.test_bad_input import refused

pytestmark = pytest.mark.bad_input

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([{"pixels": torch.zeros(2), "labels": 1}], ["train_batches[0]: expected targets as a"]),
        ([UserDict(pixels=1)], ["train_batches[0]", "'labels'", "a UserDict with the keys pixels"]),
        ([({"pixels": 1}, torch.zeros(2))], ["train_batches[0]: expected inputs['pixels'] as a"]),
        (
            [{"labels": torch.zeros(2)}],
            ["train_batches[0]: expected inputs of the model"],
        ),
        ([({}, torch.zeros(2))], ["train_batches[0]: expected inputs of the model"]),
        ({"pixels": torch.zeros(2)}, ["a single one", "put it in a list"]),
        ([([1.0], torch.zeros(2))], ["inputs as a tensor", "a list"]),
        ([torch.zeros(3)], ["a single one", "put it in a list"]),
        ((torch.zeros(3), torch.zeros(3)), ["a single one", "put it in a list"]),
        (DataLoader(TensorDataset(torch.zeros(3))), ["a list of batches", "got a DataLoader"]),
        (iter([]), ["a list of batches", "got a list_iterator"]),
        (["xy"], ["got a str"]),
        ([(torch.zeros(3),)], ["got 1 parts"]),
    ],
)
def test_invalid_batches(batches, words):
    here = training()
    refused(lambda: here.look_ahead(Lookahead(), train_batches=batches), *words)


@every_strategy
@pytest.mark.parametrize("shift", [CLASSES, -1])
def test_labels_out_of_range(shift: int, strategy: str):
    here = training()
    (inputs, targets, index), (clean, right) = here.train_batches[0], here.meta_batch
    cases = {
        "train_batches": {"train_batches": [(inputs, targets + shift, index)]},
        "meta_batch": {"meta_batch": (clean, right + shift)},
    }
    for name, changed in cases.items():
        refused(
            lambda changed=changed: here.look_ahead(Lookahead(strategy=strategy), **changed),
            f"{name}: targets: expected labels in 0..{CLASSES - 1}",
        )


@every_strategy
def test_a_clean_batch_that_is_not_finite_is_named(strategy: str):
    here = training()
    inputs, targets = here.meta_batch
    inputs = inputs.clone()
    inputs[0, 0, 0, 0] = float("nan")
    refused(
        lambda: here.look_ahead(Lookahead(strategy=strategy), meta_batch=(inputs, targets)),
        "meta_batch: inputs",
        f"1 of {inputs.numel()} that are NaN",
    )
    still = {name: p.grad for name, p in here.criterion.adjuster.named_parameters()}
    assert all(grad is None for grad in still.values())


@every_strategy
def test_a_loss_that_is_not_finite_is_named(strategy: str):
    here = training()
    with torch.no_grad():
        here.model[-1].weight.fill_(float("inf"))
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "meta loss", "NaN or infinite")


# Models


class Inside(nn.Module):
    """A network whose first layer runs in inference mode."""

    def __init__(self, clone: bool) -> None:
        super().__init__()
        self.frozen, self.last = nn.Linear(36, 4).requires_grad_(False), nn.Linear(4, CLASSES)
        self.clone = clone

    def forward(self, x):
        with torch.inference_mode():
            hidden = self.frozen(x.flatten(1))
        return self.last(hidden.clone() if self.clone else hidden)


@every_strategy
def test_inference_mode(strategy: str):
    here = training(Inside(clone=False))
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "inference_mode", "no_grad")
    training(Inside(clone=True)).look_ahead(Lookahead(strategy=strategy))
    with torch.inference_mode():
        made = torch.ones(2, 36, dtype=torch.float64)
    here = training()
    batch = (made, torch.tensor([0, 1]))
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy), meta_batch=batch), "meta_batch")


class Pair(nn.Module):
    """A network that returns a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x):
        return self.body(x), x


@every_strategy
def test_outputs_that_are_no_tensor(strategy: str):
    here = training(Pair(), steps_before=0)
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "a tuple", "the logits alone")


@every_strategy
def test_sparse_gradients(strategy: str):
    model = nn.Sequential(nn.Flatten(), nn.Embedding(5, 2, sparse=True), nn.Flatten())
    model.append(nn.Linear(72, CLASSES))
    here = training(model)
    tokens = torch.randint(5, (4, 36))
    batch = (tokens, torch.zeros(4, dtype=torch.int64))
    refused(
        lambda: here.look_ahead(
            Lookahead(strategy=strategy), train_batches=[(*batch, tokens[:, 0])], meta_batch=batch
        ),
        "a sparse one of 1.weight",
        "sparse=False",
    )
