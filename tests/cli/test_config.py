"""Experiments from gin files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import gin
import pytest
import torch
from typer.testing import CliRunner

from metaloss import AdjustedLoss, Adjuster, losses
from metaloss.checks import InputError
from metaloss.cli import app
from metaloss.conditioners import Margin
from metaloss.config import Config, configuration, find
from metaloss.experiments import (
    Experiment,
    MetaTraining,
)
from metaloss.losses import GCE
from metaloss.pretrained import save_adjuster
from metaloss.tasks import classification_task, digits

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
OWN_PAIR = EXAMPLES / "own_pair"


def build(files, bindings=()) -> Experiment:
    with configuration(files, bindings) as config:
        return config.build(Experiment)


def test_an_adjuster_learned_elsewhere(tmp_path) -> None:
    save_adjuster(tmp_path, AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin())))
    files = ["experiments/demo.gin", "adjusters/transferred.gin"]
    with configuration(files, [f"ADJUSTERS = ['{tmp_path}']"]) as config:
        (method,) = config.build(Experiment).methods
        criterion = method.criterion(classification_task(data=digits, num_meta=0, num_test=360))
        assert type(criterion.loss) is GCE


def test_a_file_of_the_papers_weights_is_read_without_a_network_connection() -> None:
    files, bindings = ["experiments/paper_clothing1m.gin"], ["DATA = 'x'", "WEIGHTS = 'no/w.pth'"]
    with configuration(files, bindings) as config, torch.device("meta"):
        model = config.build(Experiment).model
        with pytest.raises(InputError, match=r"no/w\.pth: expected a file of weights of resnet50"):
            model()


def test_networks_that_learn_slowly_have_a_recipe_of_their_own() -> None:
    name = "experiments/meta_fashion_mnist_by_heart.gin"
    weights = [torch.nn.Parameter(torch.zeros(1))]
    with configuration([name], ["DATA = 'nowhere'"]) as config:
        training = config.build(MetaTraining)
        found = {
            (
                "varied" in spec.name,
                recipe.meta_every,
                recipe.lookahead.hold_norm,
                recipe.optimizer(weights).defaults["lr"],
            )
            for spec in training.tasks
            for recipe in [spec.recipe or training.recipe]
        }
    assert found == {(False, 2, 0.9, 0.03), (True, 4, 0.5, 0.1)}


@pytest.mark.parametrize("name", ["meta_fashion_mnist", "meta_cifar10_resnet8"])
def test_another_data_set_held_out_has_samples_and_a_network_of_its_own(name: str) -> None:
    files = [f"experiments/{name}.gin", "tasks/held_out_digits.gin"]
    with configuration(files, ["DATA = 'nowhere'"]) as config:
        held_out = config.build(MetaTraining).held_out
        assert len({spec.name for spec in held_out}) == 6
        for spec in held_out:
            task = spec.task(seed=0)
            assert (task.name, task.sample_shape) == (spec.name, (1, 8, 8))
            assert task.meta is None
            assert 0.05 < task.noise.rate < 0.65
            inputs = next(task.train.epoch(0)).inputs
            assert spec.model()(inputs).shape == (len(inputs), task.num_classes)


def test_the_saved_text_parses_to_the_same_experiment(tmp_path) -> None:
    with configuration(["experiments/demo.gin"], ["NOISE_RATE = 0.25"]) as config:
        text = config.text
        rate = config.build(Experiment).task(seed=0).noise.rate
    path = tmp_path / "config.gin"
    path.write_text(text)
    with configuration([path]) as config:
        assert config.text == text
        assert config.build(Experiment).task(seed=0).noise.rate == rate


def test_the_saved_texts_have_the_tasks_in_their_order(tmp_path: Path) -> None:
    def names(parsed: Config) -> list[str]:
        built = parsed.build(MetaTraining)
        return [spec.name for spec in (*built.tasks, *built.held_out)]

    with configuration(["experiments/meta_digits.gin"]) as config:
        found = names(config)
        texts = config.text, config.operative
    assert (found[0], found[3]) == ("symmetric-0.2", "asymmetric-0.2")
    for text in texts:
        with configuration((), text=text) as config:
            assert names(config) == found


def test_later_files_and_bindings_win(tmp_path) -> None:
    path = tmp_path / "more.gin"
    path.write_text("EPOCHS = 7\nLR = 0.5\n")
    experiment = build(["experiments/demo.gin", path], ["EPOCHS = 8"])
    assert experiment.recipe.epochs == 8
    with configuration(["experiments/demo.gin", path]) as config:
        made = config.build(Experiment).recipe.optimizer([torch.nn.Parameter(torch.zeros(1))])
        assert made.param_groups[0]["lr"] == 0.5


def test_a_configuration_is_forgotten() -> None:
    before = list(sys.path)
    build(["experiments/demo.gin"], ["EPOCHS = 8"])
    assert sys.path == before
    assert build(["experiments/demo.gin"]).recipe.epochs == 30


class TestErrors:
    @pytest.mark.parametrize(
        ("bindings", "message"),
        [
            (["training.Recipe.nope = 3"], "doesn't have a parameter named 'nope'"),
            (["nowhere.Recipe.epochs = 3"], "No configurable matching"),
            (["EPOCH = 3"], "'EPOCH = 3': expected a macro .*did you mean EPOCHS"),
            (["EPOCHS = "], "--gin_param 'EPOCHS = ': Unable to parse"),
            (["EPOCHS = %gin.REQUIRED"], "EPOCHS: required, got nothing; set it"),
            (["EPOCHS = %ELSEWHERE"], "ELSEWHERE: required, got nothing; set it"),
            (["EPOCHS = 0"], "epochs: expected a whole number of at least 1, got 0"),
        ],
    )
    def test_are_one_kind_and_say_where(self, bindings, message) -> None:
        with pytest.raises(InputError, match=f"(?s){message}"):
            build(["experiments/demo.gin"], bindings)

    def test_a_file_is_named_with_its_line(self, tmp_path) -> None:
        path = tmp_path / "wrong.gin"
        path.write_text(
            "from __gin__ import dynamic_registration\n"
            "from metaloss import training\n"
            "training.Recipe.epoch = 3\n"
        )
        with pytest.raises(InputError, match=r"(?s)epoch.*wrong\.gin.*line 3"):
            build([path])

    def test_a_missing_file_and_a_missing_module(self, tmp_path) -> None:
        with pytest.raises(InputError, match=r"nope\.gin: expected a gin file"):
            find("nope.gin")
        path = tmp_path / "wrong.gin"
        path.write_text("from __gin__ import dynamic_registration\nimport not_a_module_at_all\n")
        with pytest.raises(InputError, match="not_a_module_at_all"):
            build([path])


@pytest.mark.drawn
def test_a_module_of_ones_own_works_from_another_folder(tmp_path, monkeypatch) -> None:
    """The documentation's example: a new conditioner and a new loss, registered nowhere."""
    shutil.copytree(OWN_PAIR, tmp_path / "project")
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "project/own_pair.gin", "--out", "out"]
    changes = ("EPOCHS = 1", "SEEDS = (0,)", "tasks.classification_task.subset = 200")
    quick = [word for each in changes for word in ("--gin_param", each)]
    result = CliRunner().invoke(app, [*arguments, *quick], catch_exceptions=False)
    sys.modules.pop("own_pair", None)
    assert result.exit_code == 0
    (card,) = (tmp_path / "out").glob("*/seed-0/adjuster/card.json")
    assert json.loads(card.read_text())["loss"]["type"] not in losses.__all__
    assert (tmp_path / "out" / "hyperparameters.png").stat().st_size > 10_000


@pytest.mark.parametrize("folder", ["runs", "tasks", "losses", "models"])
def test_folders_of_the_same_names_do_not_stand_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Every run without ``--out`` leaves a folder ``runs``."""
    (tmp_path / folder / "demo-1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    readers = list(gin.config._FILE_READERS)
    with configuration(["experiments/demo.gin"]) as parsed:
        assert parsed.build(Experiment).recipe.epochs == 30
    assert readers == gin.config._FILE_READERS


def test_the_scaled_margin_of_the_documentation_knows_no_scale() -> None:
    files = ["experiments/meta_digits.gin", EXAMPLES / "scaled_margin" / "scaled_margin.gin"]
    with configuration(files) as config:
        methods = config.build(MetaTraining).methods
    read = methods[0].conditioner
    outputs, targets = torch.randn(20, 7), torch.arange(20) % 7
    features = read(outputs, targets)
    torch.testing.assert_close(read(50 * outputs + 3, targets), features, rtol=1e-4, atol=1e-4)
    assert torch.equal(features.sign(), Margin()(outputs, targets).sign())
    assert features.abs().max() <= read.scale * 2**0.5
    assert not read(torch.zeros(2, 3), torch.tensor([0, 1])).any()
