"""An optimizer or a criterion that cannot do its part is refused before the step is made."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from torch import nn

from metaloss import InputError, losses
from metaloss.bilevel import Lookahead, Lookback
from metaloss.losses import GCE
from metaloss.meta_losses import MAE, MeanLoss, MetaLoss
from tests.bilevel.cases import training
from tests.helpers.hypergradients import Training

pytestmark = pytest.mark.bad_input


class Wrapped(torch.optim.Optimizer):
    """An optimizer around another one, as Accelerate makes it; it does not call ``__init__``."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self):
        return self.optimizer.param_groups


def begin_to_look_back(here: Training) -> None:
    with Lookback().step(here.model, here.optimizer, here.criterion, here.train_batches[0]):
        pytest.fail("the step was begun")


def look_ahead(here: Training) -> None:
    Lookahead().hypergradient(
        here.model, here.optimizer, here.criterion, here.train_batches[:1], here.meta_batch
    )


looking = pytest.mark.parametrize("look", [begin_to_look_back, look_ahead])


@looking
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (torch.optim.Adagrad, "adagrad.Adagrad; pass Lookahead"),
        (lambda p: Wrapped(torch.optim.SGD(p, lr=0.1)), "its .optimizer"),
        (lambda p: [torch.optim.SGD(p, lr=0.1)], "got a list"),
        (lambda p: None, "got a NoneType"),
    ],
    ids=["unknown", "wrapper", "list", "none"],
)
def test_an_optimizer_whose_rule_is_not_known(look, make, words: str) -> None:
    here = training()
    here.optimizer = make(here.model.parameters())
    with pytest.raises(InputError, match=f"optimizer: expected .*SGD.*{words}"):
        look(here)


@looking
def test_an_optimizer_that_steps_the_adjuster_too(look) -> None:
    here = training()
    both = chain(here.model.parameters(), here.criterion.parameters())
    here.optimizer = torch.optim.SGD(both, lr=0.1)
    with pytest.raises(InputError, match="model's parameters alone, got one that steps the adj"):
        look(here)


@looking
def test_a_criterion_of_torch(look) -> None:
    here = training()
    here.criterion = nn.CrossEntropyLoss()
    with pytest.raises(InputError, match="criterion: expected an AdjustedLoss, got a CrossEntropy"):
        look(here)


class Undecided(MetaLoss):
    """A meta loss that forgot to say whether it is symmetric."""

    def fits(self, kind) -> bool:
        return True

    def per_sample(self, outputs, targets):
        return outputs.sum(dim=1)

    def __repr__(self) -> str:
        return "Undecided()"


@pytest.mark.parametrize("make", [Lookahead, Lookback])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (GCE(), r"the loss family GCE; .*MeanLoss\(GCE\(\)\) makes"),
        (losses.MAE(), r"the loss family MAE; the meta loss is metaloss.meta_losses.MAE\(\)"),
        (MAE, r"the class MAE; write MAE\(\)"),
        (Undecided(), r"Undecided\(\), which does not say whether it is symmetric"),
    ],
    ids=["family", "namesake", "class", "undecided"],
)
def test_what_is_not_a_meta_loss_is_refused_at_once(make, given, words: str) -> None:
    with pytest.raises(InputError, match=f"^meta_loss: expected a meta loss, got {words}"):
        make(meta_loss=given)


def test_the_name_of_a_meta_loss_is_refused() -> None:
    with pytest.raises(InputError, match=r"got 'mae'; give one of metaloss\.meta_losses"):
        Lookback(meta_loss="mae")


def test_a_mean_loss_of_a_class_is_refused() -> None:
    with pytest.raises(InputError, match=r"loss: expected a LossFamily, got the class GCE; write"):
        MeanLoss(GCE)
