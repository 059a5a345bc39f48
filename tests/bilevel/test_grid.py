"""The default strategy over the whole grid, held against the textbook's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from metaloss import AdjustedLoss
from metaloss.bilevel import Lookahead
from metaloss.models import MLP, SmallCNN, preact_resnet18, resnet8, torchvision_model
from tests.bilevel.cases import (
    CLASSES,
    MODELS,
    OPTIMIZERS,
    SAMPLES,
    Recurrent,
    batch,
    cnn,
    learned,
    mlp,
    training,
)
from tests.bilevel.test_shared_pass import Inplace, Transformer
from tests.conditioners.cases import builders
from tests.helpers.hypergradients import Training, inner
from tests.losses.cases import families

USED = ("SGD-Nesterov", "Adam-decay", "RMSprop-momentum")
DOUBLE, SINGLE = 1e-9, 1e-3
"""How far off, relative to the textbook's length, in float64 and in float32."""


class Normed(nn.Module):
    """A network whose norms have nothing to learn, or no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(4, affine=False),
            nn.SiLU(),
            nn.Conv2d(4, 4, 3, groups=2, padding="same"),
            nn.BatchNorm2d(4, track_running_stats=False),
            nn.InstanceNorm2d(4, affine=True),
        )
        self.last = nn.Sequential(nn.Linear(36, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x).flatten(1))


class OverTime(nn.Module):
    """Rows of the image as channels that go on in time."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(6, 4, 3, dilation=2, padding=2), nn.BatchNorm1d(4), nn.ReLU()
        )
        self.last = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x.squeeze(1)).mean(2))


def partly_frozen() -> nn.Module:
    """What is fine-tuned: the head and the norms of a network in eval mode."""
    model = cnn(nn.BatchNorm2d(4)).eval()
    model[0].requires_grad_(False)
    return model


def enlarged(size: int, model: nn.Module) -> nn.Module:
    """For images larger than those of the cases."""
    return nn.Sequential(nn.Upsample(size), model)


GRID: dict[str, Callable[[], nn.Module]] = {
    **MODELS,
    "in-place": Inplace,
    "transformer": Transformer,
    "transformer-eval": lambda: Transformer().eval(),
    "partly frozen": partly_frozen,
    "norms": Normed,
    "convolution over time": OverTime,
    "deep dropout": lambda: mlp(nn.Tanh, nn.Dropout(0.2), nn.Linear(8, 8), nn.AlphaDropout(0.1)),
    "our MLP": lambda: MLP(36, CLASSES, hidden=(8, 8)),
    "our CNN": lambda: enlarged(8, SmallCNN(1, CLASSES, width=4)),
    "resnet8": lambda: enlarged(16, resnet8(CLASSES, in_channels=1, width=4)),
}
LARGE: dict[str, Callable[[], nn.Module]] = {
    "preact": lambda: enlarged(8, preact_resnet18(CLASSES, in_channels=1, width=2)),
    "torchvision": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 1), enlarged(32, torchvision_model("shufflenet_v2_x0_5", CLASSES))
    ),
}


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float) -> None:
    assert found.keys() == expected.keys()
    gap = {name: found[name] - expected[name] for name in expected}
    length = inner(expected, expected) ** 0.5
    assert length > 1e-6, f"too short to say anything: {length}"
    error = inner(gap, gap) ** 0.5 / length
    assert error < rtol, f"off by {error:.1e}"


def assert_as_by_the_textbook(here: Training, rtol: float) -> None:
    steps = len(here.train_batches)
    expected = here.look_ahead(Lookahead(steps, "unroll"))
    assert_near(here.look_ahead(Lookahead(steps)), expected, rtol)


def in_single(here: Training) -> Training:
    """The same training in float32, its optimizer's memory included."""
    for module in (here.model, here.criterion):
        module.float()
    state = here.optimizer.state_dict()
    here.optimizer.load_state_dict(state)  # which casts what it loads to the parameters' type
    here.train_batches = [(x.float(), *rest) for x, *rest in here.train_batches]
    here.meta_batch = here.meta_batch[0].float(), here.meta_batch[1]
    return here


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [*((name, 2) for name in USED), *((name, k) for name in USED[:2] for k in (1, 5))],
)
@pytest.mark.parametrize("build", GRID.values(), ids=GRID.keys())
def test_every_model_by_every_optimizer_in_float64(build, steps: int, optimizer: str):
    criterion = learned(detach=steps == 5)
    here = training(build(), OPTIMIZERS[optimizer], criterion, steps, steps_before=1)
    assert_as_by_the_textbook(here, DOUBLE)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("build", GRID.values(), ids=GRID.keys())
def test_every_model_in_float32(build, steps: int):
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=1)
    assert_as_by_the_textbook(in_single(here), SINGLE)


@pytest.mark.parametrize("strategy", ["mixed", "unroll", "difference"])
@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN], ids=lambda layer: layer.__name__)
def test_recurrent_layers_in_float32(layer, strategy: str):
    """Their fastest kernels, which torch takes in float32, have no tangents."""

    def here() -> Training:
        torch.manual_seed(0)
        return training(Recurrent(layer), steps_before=1)

    enabled = torch.backends.mkldnn.enabled
    found = in_single(here()).look_ahead(Lookahead(strategy=strategy))
    assert torch.backends.mkldnn.enabled == enabled
    expected = here().look_ahead(Lookahead(strategy="unroll"))
    assert_near({name: g.double() for name, g in found.items()}, expected, SINGLE)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("build", LARGE.values(), ids=LARGE.keys())
def test_large_networks(build, steps: int, single: bool):
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps=steps)
    assert_as_by_the_textbook(in_single(here) if single else here, SINGLE if single else DOUBLE)


@pytest.mark.parametrize("optimizer", ["Adam-decay", "RMSprop-momentum"])
@pytest.mark.parametrize("name", ["MLP", "CNN-BatchNorm", "transformer", "resnet8"])
def test_optimizers_that_divide_in_float32(name: str, optimizer: str):
    here = training(GRID[name](), OPTIMIZERS[optimizer], steps=2, steps_before=2)
    assert_as_by_the_textbook(in_single(here), SINGLE)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_groups_with_settings_of_their_own(kind, steps: int):
    model = MODELS["CNN-BatchNorm"]()
    groups = [
        {"params": model[0].parameters(), "lr": 0.1, "weight_decay": 0.2},
        {"params": model[1].parameters(), "lr": 0.03},
        {"params": [model[5].weight], "weight_decay": 0.0},
    ]  # and a bias that is in none of them

    def make(_: object) -> torch.optim.Optimizer:
        model[5].bias.requires_grad_(False)
        named = {"momentum": 0.9} if kind is torch.optim.SGD else {"eps": 1e-2}
        return kind(groups, lr=0.05, **named)

    assert_as_by_the_textbook(training(model, make, steps=steps, steps_before=2), DOUBLE)


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
@pytest.mark.parametrize("conditioner", builders())
@pytest.mark.parametrize("loss", [f for f in families() if f.hyperparameters], ids=str)
def test_every_loss_told_by_every_conditioner(loss, conditioner: str, detach: bool):
    told = builders()[conditioner](CLASSES)
    told.prepare(torch.arange(SAMPLES).remainder(7).clamp(max=2), CLASSES)
    told.set_progress(0.4)
    _, targets, index = batch(7)
    told.observe(torch.randn(len(index), CLASSES).double(), targets, index)
    criterion: AdjustedLoss = learned(loss, told, detach)
    steps = 1 if detach else 2
    here = training(criterion=criterion, steps=steps, steps_before=1)
    assert_as_by_the_textbook(here, DOUBLE)
