"""What things are run on."""

from __future__ import annotations

import pytest
import torch

from metaloss.machine import environment, subnormals_as_zero, threads
from metaloss.training import MultiTaskTraining


def subnormals_live() -> bool:
    return torch.tensor(1e-39).mul(1.0).item() != 0.0


flushes = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush them"
)


@flushes
def test_subnormals_are_zero_for_a_while() -> None:
    assert subnormals_live()
    with subnormals_as_zero():
        assert not subnormals_live()
        with subnormals_as_zero():
            pass
        assert not subnormals_live()  # whoever had it so keeps it so
    assert subnormals_live()
    with pytest.raises(ZeroDivisionError), subnormals_as_zero():
        _ = 1 / 0
    assert subnormals_live()


@flushes
def test_training_takes_them_for_zero_and_leaves_all_as_it_was(monkeypatch) -> None:
    found = []
    monkeypatch.setattr(
        MultiTaskTraining, "_turns", lambda _: found.append(subnormals_live()) or iter(())
    )
    training = object.__new__(MultiTaskTraining)
    training.trainings = {}
    training.run()
    assert found == [False]
    assert subnormals_live()


def test_threads_for_a_while() -> None:
    before = torch.get_num_threads()
    with threads(1):
        assert environment("cpu")["machine"]["threads"] == 1
    assert torch.get_num_threads() == before


def test_packages_that_are_not_installed_have_no_version() -> None:
    assert "no-such-package" not in environment("cpu", ["torch", "no-such-package"])["versions"]
    assert environment("cpu", ["torch"])["versions"]["torch"] == torch.__version__
