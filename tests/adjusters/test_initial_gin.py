"""The initial adjusters of the package's experiments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from metaloss.config import configuration
from metaloss.experiments import Experiment, MetaTraining
from tests.helpers.tasks import blobs

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
DATA = ["DATA = 'nowhere'"]
PAPER = ["paper_cifar10", "paper_cifar100", "paper_instance", "paper_meta_cifar10"]
# What made the adjusters that come with the package goes on making them.
BUNDLED = ["meta_fashion_mnist_by_heart", "meta_cifar10_resnet8", "meta_fashion_mnist_margin"]


def starts(files: list[str], bindings: list[str]) -> set[str]:
    kind = MetaTraining if "meta_" in files[0] else Experiment
    with configuration(files, bindings) as config:
        methods = config.build(kind).methods
        made = [method.criterion(blobs()).adjuster for method in methods if method.learns]
    return {adjuster.initial for adjuster in made}


@pytest.mark.parametrize("name", PAPER + BUNDLED)
def test_the_papers_start_in_the_middle(name: str):
    assert starts([f"experiments/{name}.gin"], DATA) == {"middle"}


@pytest.mark.parametrize("name", ["demo", "digits", "relatives", "meta_digits"])
def test_the_others_start_from_the_defaults(name: str):
    assert starts([f"experiments/{name}.gin"], []) == {"defaults"}


def test_one_file_sends_any_experiment_to_the_middle():
    """Also adjusters with a head for each group."""
    assert starts(["experiments/relatives.gin", "adjusters/middle.gin"], []) == {"middle"}


@pytest.fixture(scope="module")  # gin takes one class of a name
def pair():
    """With this loss a network learns nothing from an adjuster that starts in the middle."""
    with configuration([str(EXAMPLES / "bi_tempered" / "bi_tempered.gin")], []) as config:
        yield config.build(Experiment).methods[1]
    sys.modules.pop("bi_tempered", None)


def test_the_example_starts_where_its_fixed_loss_is(pair):
    criterion = pair.criterion(blobs())
    outputs, targets = 0.01 * torch.randn(60, 10), torch.arange(60) % 10
    first = criterion.hparams(outputs, targets).mean(dim=0)
    torch.testing.assert_close(first, torch.tensor([0.8, 1.2]), atol=0.1, rtol=0)


def test_the_example_is_a_loss(pair):
    outputs = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 3])
    nearly = pair.loss.constant(4, (1 - 1e-9, 1 + 1e-9), like=outputs)
    plain = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    torch.testing.assert_close(pair.loss(outputs, targets, nearly), plain, atol=1e-5, rtol=0)
    hparams = pair.loss.constant(4, (0.5, 2.5), like=outputs).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, h: pair.loss(z, targets, h), (outputs, hparams))
