"""What a gin file cannot mean: one line, exit code 2, and no folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Wrong kinds of values on purpose: jaxtyping would speak first.
pytestmark = pytest.mark.bad_input

WITHOUT_BRACKETS = "leave out the brackets"
A_FUNCTION = "in a gin file a function is written @module.name"
AN_OBJECT = "in a gin file an object is written @module.Name()"

# binding, what the line says
KINDS = [
    ("experiments.Experiment.model = @models.SmallCNN()", f"got a SmallCNN; .*{WITHOUT_BRACKETS}"),
    (
        "experiments.Experiment.task = @tasks.classification_task()",
        f"got a Task; .*{WITHOUT_BRACKETS}",
    ),
    ("experiments.Experiment.recipe = @training.Recipe", r"got the class Recipe; .*@Recipe\(\)"),
    ("training.Recipe.speed = @training.Speed", r"got the class Speed; .*@Speed\(\)"),
    (
        "training.Recipe.lookahead = @bilevel.Lookahead",
        r"got the class Lookahead; .*@Lookahead\(\)",
    ),
    ("ce/experiments.Conventional.loss = @losses.CrossEntropy", "got the class CrossEntropy"),
    (
        "experiments.Experiment.methods = [@experiments.Adjusted]",
        r"methods\[0\]: .*the class Adjusted",
    ),
    ("experiments.Experiment.methods = @ce/experiments.Conventional()", "put it into a list"),
    ("training.Recipe.optimizer = @optim.SGD()", "SGD without brackets where it is called later"),
    ("tasks.classification_task.noise = @noise.symmetric()", "symmetric without brackets"),
    ("MODEL = 'resnet'", f"model: expected a function .*, got 'resnet'; {A_FUNCTION}"),
    ("experiments.Experiment.task = 'digits'", f"task: expected a function .*; {A_FUNCTION}"),
    (
        "training.Recipe.meta_optimizer = 'Adam'",
        f"meta_optimizer: expected a function .*{A_FUNCTION}",
    ),
    ("training.Recipe.schedule = 'cosine'", f"schedule: expected a function or None.*{A_FUNCTION}"),
    ("tasks.classification_task.data = 'digits'", f"data: expected a Source or .*{A_FUNCTION}"),
    ("tasks.classification_task.noise = 'symmetric'", f"noise: expected a function .*{A_FUNCTION}"),
    ("tasks.classification_task.augment = 'flip'", f"augment: expected a function .*{A_FUNCTION}"),
    ("bilevel.Lookahead.meta_loss = 'ce'", f"meta_loss: expected a function .*{A_FUNCTION}"),
    (
        "a_gce/experiments.Adjusted.adjuster = 'mlp'",
        f"adjuster: expected a function .*{A_FUNCTION}",
    ),
    ("training.Recipe.lookahead = 'mixed'", f"lookahead: expected a Lookahead, .*{AN_OBJECT}"),
    ("ce/experiments.Conventional.loss = 'CE'", f"loss: expected a LossFamily, .*{AN_OBJECT}"),
    ("a_gce/experiments.Adjusted.conditioner = 'margin'", f"a Conditioner or None, .*{AN_OBJECT}"),
    ("experiments.Experiment.methods = ['CE']", rf"methods\[0\]: expected a Method, .*{AN_OBJECT}"),
    ("training.Recipe.speed = None", "speed: expected a Speed, got None"),
    ("CLIP = 5.0", "clip: expected a Clip or None, got 5.0"),
    ("CLIP = @bilevel.ClipNorm", r"got the class ClipNorm; .*@ClipNorm\(\)"),
    ("experiments.Experiment.model = None", "model: expected a function .*, got None"),
    ("experiments.Experiment.recipe = None", "recipe: expected a Recipe, got None"),
    ("experiments.Experiment.methods = None", "methods: expected a list of Methods, got None"),
    ("training.Speed.autocast = 'yes'", "autocast: expected True or False, got 'yes'"),
    ("a_gce/experiments.Adjusted.detach = 'no'", "detach: expected True or False, got 'no'"),
    ("a_gce/experiments.Adjusted.start = 3", "start: expected text or a Path or None, got 3"),
    ("ce/experiments.Conventional.name = 3", "name: expected text, got 3"),
    ("gce/experiments.Conventional.values = 0.5", "values: expected a dictionary or None, got 0.5"),
    (
        "gce/experiments.Conventional.values = {'q': 0.7, 'q': 0.8}",
        "line 1: expected each key of a dict once, got 'q' twice",
    ),
    ("training.Recipe.snapshots = 1", "snapshots: expected a list of numbers, got 1"),
    ("SEEDS = 'ab'", "seeds: expected a list of whole numbers, got 'ab'"),
    ("SEEDS = {}", "seeds: expected a list of whole numbers, got a dict"),
    ("training.Recipe.evaluate_last = 0", "evaluate_last: expected a whole number of at least 1"),
    ("tasks.classification_task.num_meta = 'all'", "num_meta: expected a whole number"),
]

# bindings, what the line says; others are in tests/experiments/test_preflight.py
FIRST_STEPS = [
    (["META_LR = '1e-3'"], "A-GCE: meta_optimizer: expected arguments that torch takes"),
    (["LR = -1"], "optimizer: .*Invalid learning rate: -1"),
    (
        ["training.Recipe.schedule = @lr_scheduler.OneCycleLR"],
        r"schedule: .*expected a value for max_lr, got none; in a gin file: OneCycleLR.max_lr = ",
    ),
]

# what is written in the file, what the line says
FILES = [
    ("EPOCHS = abc", r"abc: expected a value, .*@module.name, got a bare word \(.*line 5\)"),
    ("EPOCHS = [1, abc]", "abc: expected a value"),
    (
        "experiments.Experiment.recipe = @experiments.Experiment()",
        "got what contains or calls itself",
    ),
    ("bilevel.Lookahead.hold_norm = @gin.macro", "got one; a macro is written %NAME"),
    ("experiments.Experiment.methods = [@a_js()]", "a_js: .*'losses/js.gin' binds: include it"),
    (
        "experiments.Experiment.methods = [@a_js/experiments.Adjusted()]",
        "Adjusted: expected a value for name and loss, .*include 'losses/js.gin', which binds it",
    ),
    (
        "gce/experiments.Conventional.values = {'q': 0.7, 'q': 0.8}",
        r"wrong.gin, line 6: expected each key of a dict once, got 'q' twice",
    ),
    ("training.Recipe.optimizer = @optim.AdamW", "optim: .*write 'from torch import optim' in it"),
]


def params(*bindings: str) -> list[str]:
    return [word for binding in bindings for word in ("--gin_param", binding)]


@pytest.mark.parametrize(("binding", "said"), KINDS)
def test_a_value_of_the_wrong_kind(refused: Callable[..., str], binding: str, said: str) -> None:
    matches(refused("demo", "--out", "out", *params(binding)), said)


@pytest.mark.parametrize(("bindings", "said"), FIRST_STEPS)
def test_what_the_first_steps_show(
    refused: Callable[..., str], bindings: list[str], said: str
) -> None:
    matches(refused("demo", "--out", "out", *params(*bindings)), said)


@pytest.mark.parametrize(("line", "said"), FILES)
def test_what_is_wrong_in_a_file(
    refused: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, line: str, said: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "wrong.gin"
    modules = ("bilevel", "experiments", "training")
    imports = "".join(f"from metaloss import {module}\n" for module in modules)
    include = "include 'experiments/demo.gin'\n"
    text = f"from __gin__ import dynamic_registration\n{imports}{line}\n"
    if "abc" not in line:
        text = text.replace(imports, imports + include)
    path.write_text(text)
    matches(refused("train", str(path), "--out", "out"), said)


def test_files_without_an_end_and_of_other_bytes(
    refused: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("config")
    (folder / "loop.gin").write_text("include 'loop.gin'\n")
    (folder / "other.gin").write_bytes(b"\xff\xfe")
    assert "a file that includes itself" in refused("train", str(folder / "loop.gin"))
    line = refused("train", str(folder / "other.gin"))
    assert "other.gin: expected a file of text, got other bytes" in line


def test_noise_without_its_rate(
    refused: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("config") / "no_rate.gin"
    lines = [
        "from __gin__ import dynamic_registration",
        "from metaloss import tasks",
        "from metaloss import experiments",
        "from metaloss.tasks import noise",
        *(f"include '{name}.gin'" for name in ("tasks/digits", "models/mlp", "losses/ce")),
        "include 'runs/sgd.gin'",
        "EPOCHS = 2",
        "tasks.classification_task.noise = @noise.symmetric",
        "experiments.Experiment.methods = [@ce/experiments.Conventional()]",
    ]
    path.write_text("\n".join(lines))
    said = r"task: symmetric: expected a value for rate, got none; .*symmetric.rate = "
    matches(refused("train", str(path), "--out", "out"), said)


OWN = """
import torch
from torch import nn


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


class OnlyInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        return (self.net(x), x) if self.training else self.net(x)


NET = net()


def same():
    return NET


def nothing():
    return None


def broken():
    return {}["width"]


class Own(torch.optim.SGD):
    pass
"""


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ("experiments.Experiment.model = @NAME.OnlyInTraining", "in training mode, got a tuple"),
        (
            "experiments.Experiment.model = @NAME.same",
            "makes a fresh network in each call, .* share 1.weight",
        ),
        (
            "experiments.Experiment.model = @NAME.nothing",
            "model: expected a function .* it returns None",
        ),
        (
            "experiments.Experiment.model = @NAME.broken",
            r"model: KeyError: 'width' \(NAME.py, line 31\)",
        ),
        ("training.Recipe.optimizer = @NAME.Own", "A-GCE: optimizer: expected .*, got NAME.Own"),
    ],
)
def test_code_of_ones_own(
    refused: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    binding: str,
    said: str,
) -> None:
    folder: Path = tmp_path_factory.mktemp("config")
    name = f"own_{binding.rpartition('.')[2].lower()}"  # gin keeps what it has once registered
    (folder / f"{name}.py").write_text(OWN)
    lines = [
        "from __gin__ import dynamic_registration",
        "from metaloss import experiments",
        "from metaloss import training",
        "from torch import optim",
        f"import {name}",
        "include 'experiments/demo.gin'",
        binding.replace("NAME", name),
    ]
    if "Own" in binding:
        lines.append(f"{name}.Own.lr = 0.1")
    (folder / "own.gin").write_text("\n".join(lines))
    try:
        line = refused("train", str(folder / "own.gin"), "--out", "out")
    finally:
        sys.modules.pop(name, None)
    matches(line, said.replace("NAME", name))


def matches(line: str, said: str) -> None:
    assert re.search(said, line), line
