"""Other people's errors as one line."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError, require
from metaloss.user_errors import as_input_error


def forever() -> None:
    forever()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: {}["a"], r"^it: KeyError: 'a' \(test_user_errors.py, line \d+\)$"),
        (torch.optim.SGD, "^it: SGD: expected a value for params, got none"),
        (lambda: torch.zeros(2, 3) @ torch.zeros(2), r"^it: size mismatch, .* \(test_user"),
        (lambda: require(False, "x: expected y"), "^it: x: expected y$"),
        (lambda: require(False, "it: expected y"), "^it: expected y$"),
        (forever, "^it: expected an end, got what contains or calls itself$"),
    ],
)
def test_each_is_one_line_that_names_what_was_tried(act, message) -> None:
    with pytest.raises(InputError, match=message) as raised, as_input_error("it"):
        act()
    assert "\n" not in str(raised.value)


def test_what_stops_the_process_is_let_through() -> None:
    with pytest.raises(KeyboardInterrupt), as_input_error("it"):
        raise KeyboardInterrupt
