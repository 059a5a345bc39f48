"""A criterion as the loss of Hugging Face's Trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import metaloss
from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.conditioners import ClassMargins, Concat, Margin, RunningMean
from metaloss.losses import GCE, CrossEntropy
from tests.helpers import states

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
from metaloss.integrations.transformers import (  # noqa: E402
    FILE,
    CriterionCallback,
    IndexedTrainer,
)

pytestmark = pytest.mark.filterwarnings("ignore")
CLASSES = 5


class Tagger(nn.Module):
    """Labels each token, or the first one alone."""

    def __init__(self, each: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = nn.Embedding(CLASSES, 6), nn.Linear(6, CLASSES)
        self.each = each

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.out(self.words(input_ids))
        return {"logits": logits if self.each else logits[:, 0]}


class Sentences(torch.utils.data.Dataset):
    """Random words; the labels are the words, and those of the last tokens may be ignored."""

    def __init__(self, samples: int = 32, each: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)
        self.words = torch.randint(CLASSES, (samples, 4), generator=generator)
        self.labels = self.words[:, 0] if not each else self.words.clone()
        if each:  # a different number in each batch
            for k in range(samples):
                self.labels[k, 1 + k % 4 :] = -100

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {"input_ids": self.words[i], "labels": self.labels[i]}


def learned(**settings: Any) -> AdjustedLoss:
    torch.manual_seed(1)
    conditioner = Concat([Margin(), ClassMargins(), RunningMean(Margin())])
    adjuster = Adjuster.for_loss(GCE(), conditioner, 4).requires_grad_(False)
    nn.init.normal_(adjuster.net[2].weight)
    return AdjustedLoss(GCE(), conditioner, adjuster, **settings)


def trainer(
    folder: Path,
    criterion: Callable[..., Tensor],
    *,
    each: bool = False,
    callbacks: Any = (),
    sgd: bool = False,
    **settings: Any,
):
    settings = {"per_device_train_batch_size": 8, "save_strategy": "no", **settings}
    args = transformers.TrainingArguments(
        str(folder), report_to=[], use_cpu=True, disable_tqdm=True, max_grad_norm=0.0, **settings
    )
    model = Tagger(each)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5) if sgd else None
    return transformers.Trainer(
        model,
        args,
        train_dataset=Sentences(each=each),
        eval_dataset=Sentences(8, each=each),
        compute_loss_func=criterion,
        callbacks=list(callbacks),
        optimizers=(optimizer, None),
    )


def test_it_is_the_trainers_loss_as_it_is(tmp_path: Path) -> None:
    criterion = learned(total_steps=8)
    trains = trainer(tmp_path, criterion, num_train_epochs=2)
    trains.train()
    assert criterion.steps.done == 8
    conditioner = criterion.conditioner
    assert conditioner.state_dict()["conditioners.1.totals"].shape == (CLASSES, 2)
    before = states.of_module(criterion)
    found = trains.evaluate()["eval_loss"]
    assert states.same(states.of_module(criterion), before)
    samples = Sentences(8)
    with torch.no_grad():
        logits = trains.model(samples.words)["logits"]
    assert found == pytest.approx(F.cross_entropy(logits, samples.labels).item(), rel=1e-5)


@pytest.mark.parametrize("each", [False, True], ids=["sentence", "tokens"])
def test_fixed_cross_entropy_trains_as_the_trainers_own(tmp_path: Path, each: bool) -> None:
    def own(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        logits = outputs["logits"]
        loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")
        return loss / num_items_in_batch

    weights = []
    for k, criterion in enumerate((own, AdjustedLoss.fixed(CrossEntropy()))):
        settings = {"gradient_accumulation_steps": 2, "num_train_epochs": 2, "each": each}
        trains = trainer(tmp_path / str(k), criterion, **settings)
        trains.train()
        weights.append((trains.model.state_dict(), trains.evaluate()["eval_loss"]))
    (one, expected), (other, found) = weights
    torch.testing.assert_close(one, other)
    assert found == pytest.approx(expected, rel=1e-5)


def test_accumulated_batches_are_one_large_one(tmp_path: Path) -> None:
    """Also where the batches differ in their number of labels."""
    weights = []
    for size, accumulated in ((16, 1), (4, 4)):
        torch.manual_seed(0)
        adjuster = Adjuster.for_loss(GCE(), Margin()).requires_grad_(False)
        criterion = AdjustedLoss(GCE(), Margin(), adjuster, total_steps=100)
        settings = {"per_device_train_batch_size": size, "each": True, "sgd": True}
        trains = trainer(
            tmp_path / str(size),
            criterion,
            gradient_accumulation_steps=accumulated,
            max_steps=2,
            **settings,
        )
        trains.train()
        weights.append(trains.model.state_dict())
        assert criterion.steps.done == 2 * accumulated
    torch.testing.assert_close(*weights)


def test_a_stopped_training_resumes_as_if_it_had_not_been(tmp_path: Path) -> None:
    def run(folder: Path, stop: int | None = None, resume: Any = None):
        criterion = learned(total_steps=12)
        settings = {"save_strategy": "steps", "save_steps": 6, "num_train_epochs": 3}
        trains = trainer(folder, criterion, callbacks=[CriterionCallback(criterion)], **settings)
        if stop is not None:
            trains.add_callback(Stop(stop))
        trains.train(resume_from_checkpoint=resume)
        return criterion, trains.model

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    expected, model = run(whole)
    assert (whole / "checkpoint-6" / FILE).is_file()
    run(stopped, stop=6)
    found, again = run(stopped, resume=True)
    assert found.steps.done == expected.steps.done == 12
    assert states.same(found.state_dict(), expected.state_dict())
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


class Stop(transformers.TrainerCallback):
    """Stops after so many steps, as a machine might."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.steps


def test_a_checkpoint_somewhere_else_has_to_be_named(tmp_path: Path) -> None:
    args = transformers.TrainingArguments(str(tmp_path / "new"), report_to=[], use_cpu=True)
    state, control = transformers.TrainerState(global_step=7), transformers.TrainerControl()
    criterion = learned()
    criterion(torch.randn(4, CLASSES), torch.arange(4))
    folder = tmp_path / "new" / "checkpoint-7"
    saving, again = CriterionCallback(criterion), CriterionCallback(learned())
    saving.on_save(args, state, control)  # there is no such folder, and none is made
    assert not folder.exists()
    folder.mkdir(parents=True)
    saving.on_save(args, state, control)
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"expected criterion.safetensors in .*checkpoint-7"):
        again.on_train_begin(args, state, control)
    args.resume_from_checkpoint = str(moved)
    again.on_train_begin(args, state, control)
    assert states.same(again.criterion.state_dict(), criterion.state_dict())
    again.on_train_begin(args, transformers.TrainerState(), control)  # a new run: nothing to load


class Configuration(transformers.PretrainedConfig):
    model_type = "holds-its-criterion"


class Holding(transformers.PreTrainedModel):
    """A model that holds its criterion, which its loading and initializing overwrite."""

    config_class = Configuration

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.out = nn.Linear(6, CLASSES)
        self.criterion = metaloss.from_pretrained("gce")
        self.post_init()


def test_a_criterion_that_was_overwritten_by_its_model_is_refused(tmp_path: Path) -> None:
    Holding(Configuration()).save_pretrained(tmp_path)
    loaded = Holding.from_pretrained(tmp_path)
    for tensor in loaded.criterion.adjuster.buffers():  # memory that nobody has written to
        tensor.fill_(7.0)
    loaded.train()
    outputs = torch.randn(4, CLASSES, requires_grad=True)
    with pytest.raises(InputError, match=r"^criterion: expected q between 0.35 and 0.85, got"):
        loaded.criterion(outputs, torch.arange(4))


def test_a_trainer_that_would_drop_the_ids(tmp_path: Path) -> None:
    args = transformers.TrainingArguments(tmp_path, report_to=[], use_cpu=True)
    with pytest.raises(InputError, match=r"expected .*remove_unused_columns=False"):
        IndexedTrainer(criterion=AdjustedLoss.fixed(GCE()), model=nn.Linear(2, 2), args=args)
