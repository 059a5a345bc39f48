"""The gin files that come with the package: each does what its folder promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from metaloss.checks import InputError
from metaloss.config import configuration, shipped
from metaloss.experiments import (
    Adjusted,
    Comparison,
    Conventional,
    Experiment,
    Forward,
    MetaTraining,
    Oracle,
    Searched,
)
from metaloss.losses import CrossEntropy
from metaloss.runner import experiment_class

CE = Conventional(name="CE", loss=CrossEntropy())


def every_file(kind: str) -> list[str]:
    return sorted(f"{kind}/{p.name}" for p in (shipped() / kind).glob("*.gin"))


def test_there_are_files_of_every_kind() -> None:
    for kind in ("tasks", "models", "losses", "conditioners", "runs", "tables", "experiments"):
        assert every_file(kind)


def test_each_macro_is_set_once_a_file() -> None:
    for path in shipped().rglob("*.gin"):
        names = [
            line.split("=")[0].strip()
            for line in path.read_text().splitlines()
            if line[:1].isupper() and "=" in line
        ]
        assert len(names) == len(set(names)), path


@pytest.mark.parametrize("name", every_file("conditioners"))
def test_every_conditioner_file_sets_what_adjusted_methods_read(name: str) -> None:
    with configuration(["experiments/demo.gin", name]) as config:
        experiment = config.build(Experiment)
        task = experiment.task(seed=0)
        adjusted = [m for m in experiment.methods if isinstance(m, Adjusted)]
        for method in adjusted:
            criterion = method.criterion(task)
            assert criterion.adjuster.num_features == method.conditioner.num_features
    assert len(adjusted) == 2


@pytest.mark.parametrize("name", every_file("losses"))
def test_every_loss_file_binds_methods_that_make_a_criterion(name: str) -> None:
    text = (shipped() / name).read_text()
    scopes = {line.split(".name")[0] for line in text.splitlines() if ".name = " in line}
    assert scopes
    for scope in sorted(scopes):
        with configuration(
            ["experiments/demo.gin", name], [f"experiments.Experiment.methods = [@{scope}()]"]
        ) as config:
            experiment = config.build(Experiment)
            (method,) = experiment.methods
            assert isinstance(method, Conventional | Adjusted | Oracle | Searched | Forward)
            method.criterion(experiment.task(seed=0))


METHODS = {"table1": 10, "four_losses": 5, "other_methods": 2, "four_transferred": 9}


@pytest.mark.parametrize("experiment", ["demo", "study_digits", "meta_digits"])
@pytest.mark.parametrize("name", every_file("tables"))
def test_every_table_replaces_the_methods_of_an_experiment(name: str, experiment: str) -> None:
    with configuration([f"experiments/{experiment}.gin", name]) as config:
        cls = experiment_class(config)
        if cls is MetaTraining and "four_adjusted" not in name:
            with pytest.raises(InputError, match="methods"):  # which learn no adjuster
                config.build(cls)
            return
        methods = config.build(cls).methods
        task = config.build(Experiment, methods=methods).task(seed=0)
        made = [method.criterion(task) for method in methods]
        assert len(made) == METHODS.get(Path(name).stem, 4)


@pytest.mark.parametrize("name", every_file("models"))
def test_every_model_file_makes_a_network(name: str) -> None:
    files = ["experiments/demo.gin", "tasks/cifar10.gin", name]
    bindings = ["DATA = 'nowhere'"]
    if "resnet50" in name:
        bindings.append("models.resnet50.pretrained = False")
    if "torchvision" in name:
        bindings.append("NETWORK = 'squeezenet1_1'")
    with configuration(files, bindings) as config, torch.device("meta"):
        network = config.build(Experiment).model()
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", every_file("experiments"))
def test_every_experiment_says_all_it_must(name: str) -> None:
    text = (shipped() / name).read_text()
    needed = [macro for macro in ("DATA", "FOOD101", "LABELS") if f"{macro} = '" in text]
    with configuration([name], [f"{macro} = 'nowhere'" for macro in needed]) as config:
        cls = experiment_class(config)
        given = {} if config.binds(cls, "methods") else {"methods": [CE]}
        experiment = config.build(cls, **given)
    assert ("methods" in given) == ("transfer_" in name)
    compared = bool(given) or "study_" in name
    assert cls is (MetaTraining if "meta_" in name else Comparison if compared else Experiment)
    assert len(experiment.methods) >= 1
    assert experiment.recipe.epochs >= 1
    of_three_kinds = (
        3 if name in {"experiments/study_fashion_mnist.gin", "experiments/study_cifar10.gin"} else 6
    )
    expected = {
        MetaTraining: 18 if "by_heart" in name or "_statistics" in name else 9,
        Comparison: of_three_kinds,
        Experiment: 0,
    }[cls]
    assert len({spec.name for spec in getattr(experiment, "tasks", ())}) == expected


@pytest.mark.parametrize(
    "folder", ["models", "conditioners", "adjusters", "tables", "runs", "recipes"]
)
def test_the_documentation_names_every_file(folder: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "gin-files.md").read_text()
    assert [name for name in every_file(folder) if f"`{Path(name).stem}`" not in page] == []
