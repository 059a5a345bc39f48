"""A method of the user's own."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Command

MODULE = """
from metaloss import Adjuster, AdjustedLoss
from metaloss.conditioners import Margin
from metaloss.experiments import Method
from metaloss.losses import GCE

class Own(Method):
    learns = True

    def criterion(self, task):
        return AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
"""
CONFIG = """
from __gin__ import dynamic_registration
from metaloss import experiments
import own_method
include 'experiments/smoke_digits.gin'
experiments.Experiment.methods = [@own_method.Own()]
own_method.Own.name = 'own'
EPOCHS = 1
"""


def test_it_need_not_say_what_its_adjuster_is_made_of(run_main: Command, tmp_path: Path) -> None:
    (tmp_path / "own_method.py").write_text(MODULE)
    (tmp_path / "own.gin").write_text(CONFIG)
    code, output, errors = run_main("train", str(tmp_path / "own.gin"), "--out", "run")
    assert code == 0, errors
    assert output.endswith("results: run\n")
    assert (tmp_path / "run/own/seed-0/adjuster/card.json").is_file()
