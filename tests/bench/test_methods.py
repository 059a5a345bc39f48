"""The meta iterations, ours and the peers', as far as they are installed."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from metaloss.bench.cases import CASES, CLASSES
from metaloss.bench.check import FAILED, Found, hypergradient, relative_errors
from metaloss.bench.methods import BASELINES, METHODS, maker
from metaloss.bench.trial import Iteration, Trial, adjusted_step, start
from metaloss.bilevel import Lookahead
from tests.bench.helpers import INSTALLED, in_double, trial

# The peers speak of what they will have to change.
pytestmark = pytest.mark.filterwarnings("ignore")


def weights(found: Trial) -> Tensor:
    return torch.cat([p.detach().flatten() for p in found.state.model.parameters()])


def theta(found: Trial) -> Tensor:
    return torch.cat([p.detach().flatten() for p in found.theta])


def live(steps: int = 1) -> Trial:
    found = trial(steps=steps)
    for _ in range(3):
        adjusted_step(found)
    return found


REHEARSED = [name for name in INSTALLED if not METHODS[name].real_steps]


@cache  # the reference is found once
def errors(case: str, steps: int) -> Found:
    exact = {name: METHODS[name].make for name in INSTALLED if name != "difference"}
    begin = trial(case, steps)
    return relative_errors(begin, exact) | relative_errors(
        in_double(begin.twin()), {name: maker(name) for name in ("difference", "unroll")}
    )


@pytest.mark.parametrize(
    ("case", "steps"),
    [
        ("mlp", 1),
        pytest.param("mlp", 3, marks=pytest.mark.exhaustive),
        pytest.param("resnet32", 1, marks=pytest.mark.exhaustive),
        pytest.param("transformer", 1, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize("name", INSTALLED)
def test_every_method_finds_the_hypergradient(name: str, case: str, steps: int) -> None:
    found = errors(case, steps)[name]
    assert set(found) == {"fresh", "live"}
    if name == "difference":
        assert max(found.values()) <= 1e-3 < METHODS[name].tolerance
    elif case != "mlp":
        assert found["fresh"] <= METHODS[name].tolerance
    else:
        assert found["fresh"] <= 1e-5  # less than an error in the weight decay would make
    if name == "torchopt":  # it cannot start with a momentum
        assert found["live"] > 0.01
    elif name != "difference":
        assert found["live"] <= (1e-5 if case == "mlp" else METHODS[name].tolerance)


def test_what_is_compared_is_the_hypergradient() -> None:
    found = live()
    state = found.state
    expected = Lookahead(strategy="unroll").hypergradient(
        state.model, state.optimizer, state.criterion, found.window, found.meta_batch
    )
    flat = torch.cat([g.flatten() for g in expected.values()]).double()
    assert flat.norm() > 0
    torch.testing.assert_close(hypergradient(found, maker("unroll")), flat)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", [name for name in REHEARSED if name != "difference"])
def test_every_iteration_takes_both_steps(name: str, steps: int) -> None:
    expected, found = trial(steps=steps), trial(steps=steps)
    before = weights(found), theta(found)
    maker("unroll")(expected)()
    maker(name)(found)()
    assert not torch.equal(weights(found), before[0])
    assert not torch.equal(theta(found), before[1])
    torch.testing.assert_close(weights(found), weights(expected))
    torch.testing.assert_close(theta(found), theta(expected), rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", [name for name in INSTALLED if name not in REHEARSED])
def test_real_steps_come_before_the_adjusters(name: str, steps: int) -> None:
    """Only the last of them is timed."""
    expected, found = trial(steps=steps), trial(steps=steps)
    before = theta(found)
    iteration = maker(name)(found)
    for batch in expected.window:
        expected.state.optimizer.zero_grad()
        expected.adjusted_loss(expected.state.model(batch.inputs), batch).backward()
        expected.state.optimizer.step()
    iteration.before()
    assert torch.equal(weights(found), weights(trial())) == (steps == 1)
    assert not torch.equal(weights(found), weights(expected))
    iteration.timed()
    torch.testing.assert_close(weights(found), weights(expected))
    assert not torch.equal(theta(found), before)


@pytest.mark.parametrize("name", INSTALLED)
def test_iterations_follow_one_another(name: str) -> None:
    found = trial(steps=2)
    params = list(found.state.model.parameters())
    iteration = maker(name)(found)
    seen = []
    for _ in range(3):
        iteration()
        seen.append(weights(found))
    assert all(a is b for a, b in zip(found.state.model.parameters(), params, strict=True))
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert all(p.is_leaf and p.requires_grad for p in params)
    # Each begins where the live network is: the last one's hypergradient is that of a new start.
    again = hypergradient(found, maker(name))
    assert again.isfinite().all()


@pytest.mark.parametrize("name", BASELINES)
def test_the_plain_steps_train_the_network_alone(name: str) -> None:
    found = trial()
    before = weights(found), theta(found)
    maker(name)(found)()
    assert not torch.equal(weights(found), before[0])
    assert torch.equal(theta(found), before[1])


def test_the_plain_adjusted_step_is_the_one_written_by_hand() -> None:
    ours, by_hand = live(), live()
    maker("plain, adjusted")(ours)()
    adjusted_step(by_hand)
    torch.testing.assert_close(weights(ours), weights(by_hand))


def doubled(found: Trial) -> Iteration:
    """A wrong method: twice the gradient."""
    optimizer = found.meta_learner.optimizer

    def iteration() -> None:
        optimizer.zero_grad()
        for parameter, grad in zip(found.theta, gradient.split(sizes), strict=True):
            parameter.grad = 2 * grad.view_as(parameter).float()
        optimizer.step()

    sizes = [parameter.numel() for parameter in found.theta]
    gradient = hypergradient(found, maker("unroll"))
    return Iteration(iteration)


def broken(found: Trial) -> Iteration:
    raise RuntimeError("no such kernel\nand more")


def test_a_wrong_method_is_found_out_and_a_broken_one_does_not_stop_the_others() -> None:
    found = relative_errors(
        trial(),
        {"unroll": maker("unroll"), "wrong": doubled, "broken": broken, "mixed": maker("mixed")},
    )
    assert found["wrong"]["fresh"] == pytest.approx(1.0, abs=1e-4)
    assert found["wrong"]["live"] == pytest.approx(1.0, abs=1e-4)
    assert found["broken"] == {FAILED: "RuntimeError: no such kernel"}
    assert found["mixed"]["live"] < 1e-4


def test_checking_leaves_the_trial_alone() -> None:
    found = trial()
    before = weights(found), theta(found)
    relative_errors(found, {"unroll": maker("unroll")})
    assert torch.equal(weights(found), before[0])
    assert torch.equal(theta(found), before[1])
    assert not found.state.optimizer.state


@pytest.mark.parametrize("case", CASES)
def test_a_trial_begins_the_same_each_time(case: str) -> None:
    one, other = trial(case, steps=2), trial(case, steps=2)
    assert torch.equal(weights(one), weights(other))
    assert torch.equal(one.window[1].inputs, other.window[1].inputs)
    assert not torch.equal(one.window[0].inputs, one.window[1].inputs)
    assert len(one.window) == 2
    assert one.state.model(one.window[0].inputs).shape == (6, CLASSES)


def test_the_full_resnet_takes_images_of_cifar_10() -> None:
    assert start(CASES["resnet32"], 1, 3).window[0].inputs.shape == (3, 3, 32, 32)
    assert sum(p.numel() for p in CASES["resnet32"].network().parameters()) > 450_000


def test_images_can_have_their_channels_last() -> None:
    found = start(CASES["resnet32"], 1, 3, small=True, channels_last=True)
    assert found.window[0].inputs.is_contiguous(memory_format=torch.channels_last)
    assert found.meta_batch.inputs.is_contiguous(memory_format=torch.channels_last)
