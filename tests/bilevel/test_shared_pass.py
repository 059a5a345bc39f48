"""A meta iteration that shares its forward pass is the one that does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from metaloss import InputError
from metaloss.bilevel import Lookahead
from tests.bilevel.cases import CLASSES, MODELS, OPTIMIZERS, learned, mlp, training
from tests.bilevel.test_rules import Applied, Square, SquareOnce
from tests.helpers import states
from tests.helpers.hypergradients import Training


class Inplace(nn.Module):
    """A residual block that writes into its activations, as torchvision's do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        out = self.norm(self.conv(x))
        out += x
        return self.last(self.relu(out).mean((2, 3)))


class Reassigned(nn.Module):
    """What it has seen is a new tensor after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("centre", torch.zeros(1, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        self.centre = 0.5 * self.centre + x.mean(0)
        return self.body(x - self.centre)


class Hooked(nn.Module):
    """A hook scales a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = mlp(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body(x)
        if hidden.requires_grad:
            hidden.register_hook(lambda slope: 2 * slope)
        return self.last(hidden)


class NewTensor(nn.Module):
    """It writes into a tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.body = nn.BatchNorm2d(1), mlp()
        self.last = nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body(self.norm(x))
        new = hidden.new_zeros(hidden.shape)
        new[:, 0] = hidden[:, 0]
        return self.last(new + hidden)


class Transformer(nn.Module):
    """Rows of the image, encoded together."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.2, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.encoder(x.squeeze(1)).mean(1))


def with_forward_hooks() -> nn.Module:
    model = MODELS["CNN-BatchNorm"]()
    seen: list[float] = []
    model[0].register_forward_hook(lambda _, __, out: seen.append(float(out.detach().mean())))
    model[1].register_forward_hook(lambda _, __, out: out * 1.5)
    return model


def resnet18() -> nn.Module:
    from metaloss.models import torchvision_model

    stem = nn.Conv2d(1, 3, 1)
    return nn.Sequential(stem, nn.Upsample(32), torchvision_model("resnet18", CLASSES))


# These have a pass to share under `mixed`; those below have none, and are left as they were.
SHARED: dict[str, Callable[[], nn.Module]] = {
    **MODELS,
    "in-place": Inplace,
    "reassigned": Reassigned,
    "transformer": Transformer,
    "transformer-eval": lambda: Transformer().eval(),
    "forward hooks": with_forward_hooks,
    "orthogonal": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(36, 8), parametrizations.orthogonal(nn.Linear(8, 8)), nn.Tanh(),
        nn.Linear(8, CLASSES),
    ),
    "spectral norm in eval": lambda: nn.Sequential(
        nn.Flatten(), parametrizations.spectral_norm(nn.Linear(36, 8)), nn.Linear(8, CLASSES)
    ).eval(),
}  # fmt: skip
UNSHARED: dict[str, Callable[[], nn.Module]] = {
    "hooked": Hooked,
    "new tensor": NewTensor,
    "Function": lambda: mlp(nn.Tanh, Applied(SquareOnce.apply)),
    "scripted": lambda: mlp(nn.Tanh, Applied(_scripted)),
}


@torch.jit.script
def _scripted(x: Tensor) -> Tensor:
    return torch.tanh(x * 2)


def iterate(here: Training, lookahead: Lookahead, share: bool) -> bool:
    """One meta iteration; whether its forward pass was shared."""
    solution = lookahead.solve(
        here.model,
        here.optimizer,
        here.criterion,
        here.train_batches,
        here.meta_batch,
        share=share,
    )
    with torch.no_grad():
        for name, theta in here.criterion.adjuster.named_parameters():
            theta.sub_(solution.hypergradient[name], alpha=10.0)
    inputs, targets, index = here.train_batches[0]
    outputs = here.model(inputs) if solution.shared is None else solution.shared.outputs
    loss = here.criterion.per_sample(outputs, targets, index).losses.mean()
    here.optimizer.zero_grad()
    loss.backward(inputs=[p for p in here.model.parameters() if p.requires_grad])
    here.optimizer.step()
    return solution.shared is not None


def everything(here: Training) -> dict[str, Any]:
    return {
        "model": states.of_module(here.model),
        "adjuster": states.of_module(here.criterion.adjuster),
        "optimizer": copy.deepcopy(here.optimizer.state_dict()["state"]),
        "random numbers": torch.get_rng_state(),
    }


def assert_as_unfused(
    build: Callable[[], nn.Module], lookahead: Lookahead, shares: bool | None
) -> None:
    runs = []
    for share in (True, False):
        torch.manual_seed(8)
        here = training(build(), OPTIMIZERS["SGD-Nesterov"], learned(), lookahead.steps)
        shared = [iterate(here, lookahead, share) for _ in range(2)]
        if share and shares is not None:
            assert shared == [shares] * 2
        runs.append(everything(here))
    fused, unfused = runs
    torch.testing.assert_close(fused, unfused, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("keep", [0.0, 0.01, float("inf")])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("build", SHARED.values(), ids=SHARED.keys())
def test_a_shared_pass_is_the_ordinary_one(build, steps: int, keep: float):
    assert_as_unfused(build, Lookahead(steps, keep=keep), shares=True)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("strategy", ["difference", "auto"])
@pytest.mark.parametrize("build", SHARED.values(), ids=SHARED.keys())
def test_a_shared_pass_is_the_ordinary_one_by_every_strategy(build, strategy: str, steps: int):
    assert_as_unfused(build, Lookahead(steps, strategy), shares=True)


@pytest.mark.filterwarnings("ignore:falling back:RuntimeWarning")
@pytest.mark.parametrize("strategy", ["auto"])
@pytest.mark.parametrize("build", UNSHARED.values(), ids=UNSHARED.keys())
def test_what_cannot_be_shared_is_left_as_it_was(build, strategy: str):
    assert_as_unfused(build, Lookahead(strategy=strategy), shares=False)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("build", [MODELS["CNN-BatchNorm"], MODELS["MLP-dropout"], Transformer])
def test_unroll_has_nothing_to_share(build, steps: int):
    assert_as_unfused(build, Lookahead(steps, "unroll"), shares=False)


def test_torchvision_shares():
    assert_as_unfused(resnet18, Lookahead(keep=1.0), shares=True)


# When it fails


class Failing(nn.Module):
    """Fails in one of its forward passes."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.body, self.drop = MODELS["CNN-BatchNorm"](), nn.Dropout(0.5)
        self.at, self.calls = at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        outputs = self.drop(self.body(x))
        if self.calls == self.at:
            raise RuntimeError("out of memory, say")
        return outputs


def solve(here: Training, lookahead: Lookahead) -> Any:
    return lookahead.solve(
        here.model,
        here.optimizer,
        here.criterion,
        here.train_batches,
        here.meta_batch,
        share=True,
    )


def tensors(here: Training) -> tuple[Any, Tensor]:
    return states.of_module(here.model), torch.get_rng_state()


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("strategy", ["mixed", "unroll", "difference", "auto"])
def test_a_failure_on_the_way_leaves_all_as_it_was(strategy: str, steps: int, at: int):
    here = training(Failing(at), OPTIMIZERS["Adam"], steps=steps)
    before = tensors(here)
    try:
        found = solve(here, Lookahead(steps, strategy))
    except RuntimeError:
        shared = None
    else:
        shared = found.shared
    if shared is None:
        assert states.same(tensors(here), before)


@pytest.mark.parametrize("strategy", ["mixed", "difference"])
def test_a_refusal_after_the_pass_leaves_all_as_it_was(strategy: str):
    criterion = learned()
    criterion.adjuster.forward = lambda features: torch.full((len(features), 1), 0.5).double()
    here = training(nn.Sequential(MODELS["CNN-BatchNorm"](), nn.Dropout(0.5)), criterion=criterion)
    before = tensors(here)
    with pytest.raises(InputError, match="depends on the adjuster's parameters"):
        solve(here, Lookahead(strategy=strategy))
    assert states.same(tensors(here), before)


def test_what_has_no_forward_rule_leaves_all_as_it_was():
    model = nn.Sequential(MODELS["CNN-BatchNorm"](), nn.Dropout(0.5), Applied(Square.apply))
    here = training(model)
    before = tensors(here)
    with pytest.raises(InputError, match="forward-mode rule"):
        solve(here, Lookahead())
    assert states.same(tensors(here), before)


class Remembering(nn.Module):
    """It holds on to an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = mlp(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.body(x)
        return self.last(self.seen)


@pytest.mark.parametrize("strategy", ["mixed", "difference"])
def test_what_a_model_holds_on_to_can_be_used(strategy: str):
    here = training(Remembering())
    solve(here, Lookahead(strategy=strategy))
    assert float(here.model.seen.detach().mean()) == float(here.model.seen.detach().mean())


@pytest.mark.parametrize("name", ["MLP-ReLU", "CNN-BatchNorm", "attention"])
def test_a_shared_pass_under_autocast_can_be_gone_back_through(name: str):
    here = training(MODELS[name]())
    for module in (here.model, here.criterion):
        module.float()
    here.train_batches = [(x.float(), *rest) for x, *rest in here.train_batches]
    here.meta_batch = here.meta_batch[0].float(), here.meta_batch[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        shared = solve(here, Lookahead(keep=float("inf"))).shared
    shared.outputs.float().square().sum().backward()
    for parameter in here.model.parameters():
        assert parameter.grad.dtype == torch.float32
