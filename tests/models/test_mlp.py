"""The multilayer perceptron."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.models import MLP


@pytest.mark.parametrize("shape", [(5, 64), (5, 1, 8, 8), (1, 4, 16)])
def test_any_shape_of_sample_is_flattened(shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape)
    model = MLP(64, 3)
    outputs = model(inputs)
    assert outputs.shape == (shape[0], 3)
    torch.testing.assert_close(outputs, model(inputs.reshape(shape[0], 64)))


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_it_is_the_matrix_products_of_its_weights(hidden: tuple[int, ...]) -> None:
    model = MLP(6, 3, hidden)
    parameters = list(model.parameters())
    widths = (6, *hidden, 3)
    assert [tuple(p.shape) for p in parameters[::2]] == [*zip(widths[1:], widths, strict=False)]

    inputs = torch.randn(4, 6)
    expected = inputs
    for layer, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2], strict=True)):
        expected = expected @ weight.T + bias
        if layer < len(hidden):
            expected = expected.clamp(min=0)
    torch.testing.assert_close(model(inputs), expected)


def test_dropout_draws_in_training_alone() -> None:
    model = MLP(6, 3, hidden=(50,), dropout=0.5)
    inputs = torch.randn(4, 6)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_without_dropout_the_generator_is_left_alone() -> None:
    model = MLP(6, 3)
    before = torch.get_rng_state()
    model(torch.ones(4, 6))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((0, 3), "in_features"),
        ((6, 0), "out_features"),
        ((6, 3, (5, 0)), "hidden"),
        ((6, 3, 256), "hidden: expected a sequence"),
    ],
)
def test_bad_sizes_are_refused(arguments: tuple, word: str) -> None:
    with pytest.raises(InputError, match=word):
        MLP(*arguments)


@pytest.mark.parametrize("dropout", [-0.1, 1.5])
def test_a_bad_dropout_is_refused(dropout: float) -> None:
    with pytest.raises(InputError, match="dropout"):
        MLP(6, 3, dropout=dropout)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "inputs",
    [torch.zeros(4, 5), torch.zeros(6), torch.zeros(4, 6, dtype=torch.uint8)],
    ids=["width", "no batch", "dtype"],
)
def test_bad_inputs_are_refused(inputs: torch.Tensor) -> None:
    with pytest.raises(InputError, match="samples of 6 numbers"):
        MLP(6, 3)(inputs)
