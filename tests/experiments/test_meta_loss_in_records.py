"""Results and cards name the meta loss of an adjuster."""

from __future__ import annotations

import json
from functools import partial

import pytest

from metaloss.bilevel import Lookahead
from metaloss.experiments import Adjusted, Conventional, Experiment, RunFolder, RunSettings
from metaloss.losses import GCE, CrossEntropy
from metaloss.meta_losses import MAE
from metaloss.models import MLP
from metaloss.tasks import classification_task, digits, noise
from metaloss.training import Recipe


def first_sample(outputs, targets):
    """A meta loss of one's own."""
    return MAE()(outputs[:1], targets[:1])


@pytest.mark.parametrize(
    ("meta_loss", "meta_from", "expected"),
    [
        (None, "train", {"meta_loss": "CrossEntropy()"}),
        (first_sample, "train", {"meta_loss": "first_sample"}),
        (MAE(), "shared", {"meta_loss": "MAE()", "meta_unchecked": ["digits"]}),
    ],
)
def test_results_and_cards_say_it(tmp_path, meta_loss, meta_from: str, expected) -> None:
    task = partial(
        classification_task,
        data=digits,
        noise=partial(noise.symmetric, rate=0.4),
        num_meta=100,
        num_test=360,
        meta_from=meta_from,
    )
    Experiment(
        task=task,
        model=partial(MLP, in_features=64, out_features=10, hidden=(4,)),
        methods=[
            Conventional(name="CE", loss=CrossEntropy()),
            Adjusted(name="A", loss=GCE()),
        ],
        recipe=Recipe(epochs=1, lookahead=Lookahead(meta_loss=meta_loss)),
        settings=RunSettings(device="cpu"),
    ).run(RunFolder(tmp_path / "run"))
    run = tmp_path / "run" / "A" / "seed-0"
    about = json.loads((run / "adjuster" / "card.json").read_text())["about"]
    for found in (json.loads((run / "result.json").read_text()), about):
        assert {name: found[name] for name in found if name.startswith("meta_")} == expected
    plain = json.loads((tmp_path / "run" / "CE" / "seed-0" / "result.json").read_text())
    assert not any(name.startswith("meta_") for name in plain)
