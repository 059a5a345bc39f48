"""Central differences: their accuracy, and networks that only they can handle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from metaloss import InputError
from metaloss.bilevel import Lookahead
from metaloss.bilevel.strategies.difference import moved, scale_of
from tests.bilevel.cases import OPTIMIZERS, batch, learned, training
from tests.bilevel.models import CLASSES, MODELS, Transformer, cnn, mlp
from tests.bilevel.test_rules import Bag
from tests.helpers.exhaustive import all_pairs, mostly_exhaustive
from tests.helpers.hypergradients import Training, assert_near, in_single, inner

SMOOTH: dict[str, Callable[[], nn.Module]] = {
    **{name: MODELS[name] for name in ("MLP", "MLP-dropout", "MLP-LayerNorm", "residual")},
    **{name: MODELS[name] for name in ("attention", "LSTM", "centred", "tied", "frozen")},
    "CNN-BatchNorm": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(64, CLASSES)
    ),
    "transformer": lambda: nn.Sequential(nn.LayerNorm(6), Transformer()).eval(),
}
FEW = ("MLP-dropout", "LSTM", "CNN-BatchNorm", "transformer")
KINKED: dict[str, Callable[[], nn.Module]] = {
    "MLP": lambda: mlp(nn.ReLU),
    "CNN-BatchNorm": lambda: cnn(nn.BatchNorm2d(4)),
    "CNN-BatchNorm-eval": lambda: cnn(nn.BatchNorm2d(4)).eval(),
    "CNN-GroupNorm": lambda: cnn(nn.GroupNorm(2, 4)),
    "transformer": Transformer,
}

detached = pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])
every_number_of_steps = pytest.mark.parametrize("steps", [1, 5])


def here(build: Callable[[], nn.Module], steps: int, detach: bool = True) -> Training:
    make = OPTIMIZERS["SGD-Nesterov"]
    return training(build(), make, learned(detach=detach), steps=steps, steps_before=1)


def assert_off_by_less_than(start: Training, rtol: float) -> None:
    steps = len(start.train_batches)
    expected = start.look_ahead(Lookahead(steps, "unroll"))
    found = start.look_ahead(Lookahead(steps, "difference"))
    assert_near(found, expected, rtol)


@all_pairs("build, steps, detach", mostly_exhaustive(SMOOTH, *FEW), [1, 5], [True, False])
def test_close_in_float64_where_the_network_is_smooth(build, steps: int, detach: bool):
    assert_off_by_less_than(here(build, steps, detach), 1e-5)


@all_pairs("build, steps, detach", mostly_exhaustive(SMOOTH, *FEW), [1, 5], [True, False])
def test_within_a_percent_in_float32(build, steps: int, detach: bool):
    assert_off_by_less_than(in_single(here(build, steps, detach)), 1e-2)


@detached
@pytest.mark.parametrize("build", KINKED.values(), ids=KINKED.keys())
def test_one_step_within_a_percent_in_float32_for_rectifiers(build, detach: bool):
    assert_off_by_less_than(in_single(here(build, 1, detach)), 1e-2)


def errors_in_float32(build: Callable[[], nn.Module], steps: int, detach: bool) -> list[float]:
    """Return the sorted errors of several trainings with different random numbers."""
    errors = []
    for seed in range(7):
        torch.manual_seed(seed)
        start = here(build, steps, detach)
        start.train_batches = [batch(10 * seed + k) for k in range(steps)]
        expected = start.look_ahead(Lookahead(steps))
        found = in_single(start).look_ahead(Lookahead(steps, "difference"))
        gap = {name: found[name] - expected[name] for name in expected}
        errors.append((inner(gap, gap) / inner(expected, expected)) ** 0.5)
    return sorted(errors)


@pytest.mark.exhaustive
@detached
@pytest.mark.parametrize("build", KINKED.values(), ids=KINKED.keys())
def test_two_steps_mostly_within_a_percent_in_float32_for_rectifiers(build, detach: bool):
    errors = errors_in_float32(build, 2, detach)
    assert errors[3] < 1e-2, errors


@pytest.mark.exhaustive
@pytest.mark.xfail(
    strict=True,
    reason="a gradient jumps at a kink, and a difference divides the jump by the distance of its "
    "two sides: in networks as small as these, the error can be as large as the result",
)
def test_several_steps_always_within_a_percent_in_float32_for_rectifiers():
    errors = errors_in_float32(KINKED["CNN-GroupNorm"], 5, detach=False)
    assert errors[-1] < 1e-2, errors


@all_pairs("build, steps, detach", KINKED, [1, 5], [True, False])
def test_close_in_float64_for_rectifiers(build, steps: int, detach: bool):
    assert_off_by_less_than(here(build, steps, detach), 1e-5)


@pytest.mark.parametrize("optimizer", ["Adam-decay", "RMSprop-momentum"])
@every_number_of_steps
def test_through_optimizers_that_divide(steps: int, optimizer: str):
    start = training(mlp(), OPTIMIZERS[optimizer], steps=steps, steps_before=2)
    assert_off_by_less_than(start, 1e-5)


# The step length


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_distance_moved_ignores_the_directions_length(dtype: torch.dtype, factor: float):
    params = {"w": torch.randn(5, dtype=dtype), "b": torch.randn(2, dtype=dtype)}
    direction = {"w": factor * torch.randn(5, dtype=dtype)}  # the bias does not move
    scale = scale_of(params, direction)
    after = moved(params, direction, scale)
    gone = (scale * direction["w"]).norm() / torch.cat(list(params.values())).norm()
    assert gone.item() == pytest.approx(torch.finfo(dtype).eps ** 0.5 / 4, rel=1e-5)
    torch.testing.assert_close(after["w"], params["w"] + scale * direction["w"])
    assert after["b"] is params["b"]


@pytest.mark.parametrize("zero", ["params", "direction", "both"])
def test_the_scale_is_positive_where_something_is_zero(zero: str):
    params = {"w": torch.zeros(3) if zero != "direction" else torch.randn(3)}
    direction = {"w": torch.zeros(3) if zero != "params" else torch.randn(3)}
    scale = scale_of(params, direction)
    assert scale.isfinite()
    assert scale > 0


@every_number_of_steps
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_steps_of_length_zero_give_zero(optimizer, steps: int):
    """With a learning rate of zero, the direction is zero."""
    start = training(mlp(), lambda p: optimizer(p, lr=0.0), steps=steps)
    found = start.look_ahead(Lookahead(steps, "difference"))
    assert all(g.eq(0).all() for g in found.values())


# Networks that only differences can handle


class Averaged(Bag):
    """The same function as the bag, with all derivatives."""

    def forward(self, x: Tensor) -> Tensor:
        words = (x.abs() * 10).long().clamp(max=49).flatten(1)
        return self.last(torch.tanh(F.embedding(words, self.words[1].weight).mean(1)))


class Flash(nn.Module):
    """Attention that only uses the fused kernel."""

    def __init__(self, kernel: SDPBackend = SDPBackend.FLASH_ATTENTION) -> None:
        super().__init__()
        self.into, self.last, self.kernel = nn.Linear(6, 24), nn.Linear(8, CLASSES), kernel

    def forward(self, x: Tensor) -> Tensor:
        rows = self.into(x.squeeze(1)).unflatten(-1, (3, 2, 4)).transpose(1, 3)
        with sdpa_kernel(self.kernel):
            mixed = F.scaled_dot_product_attention(*rows.unbind(2))
        return self.last(mixed.transpose(1, 2).flatten(2).mean(1))


PAIRS = {
    "EmbeddingBag": (Bag, Averaged),
    "flash attention": (Flash, lambda: Flash(SDPBackend.MATH)),
}


@every_number_of_steps
@pytest.mark.parametrize(("build", "twin"), PAIRS.values(), ids=PAIRS.keys())
def test_through_kernels_that_only_have_gradients(build, twin, steps: int):
    starts = []
    for make in (build, twin):
        torch.manual_seed(5)
        starts.append(here(make, steps, detach=False))
    expected = starts[1].look_ahead(Lookahead(steps, "unroll"))
    assert_near(starts[0].look_ahead(Lookahead(steps, "difference")), expected, 1e-5)


@pytest.mark.parametrize("build", [Bag, Flash])
def test_those_kernels_have_no_other_derivatives(build):
    """Otherwise the test above would prove nothing."""
    with pytest.raises(InputError, match="forward-mode rule"):
        here(build, 1).look_ahead(Lookahead())


def test_a_mask_is_the_same_in_every_pass():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.Tanh(), nn.Flatten(), nn.Linear(64, CLASSES)
    )
    assert_off_by_less_than(training(model), 1e-5)
