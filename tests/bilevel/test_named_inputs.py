"""Batches that are dictionaries, for models that take their inputs by name."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss import InputError
from metaloss.bilevel import Lookahead, Lookback
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.conditioners import MovingAverage
from tests.bilevel.cases import learned
from tests.bilevel.models import CLASSES
from tests.bilevel.test_bad_input import refused
from tests.helpers.exhaustive import mostly_exhaustive
from tests.helpers.hypergradients import assert_near

BATCH, LENGTH, TOKENS = 6, 5, 20
SIZES: dict[str, Any] = {"vocab_size": TOKENS, "num_labels": CLASSES, "max_position_embeddings": 8}


# The library is imported by the tests that need it: that takes seconds, in every worker.


def bert(attention: str) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        attn_implementation=attention,
        **SIZES,
    )
    return BertForSequenceClassification(config)


def distilbert() -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    return DistilBertForSequenceClassification(
        DistilBertConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=16, **SIZES)
    )


class Mean(nn.Module):
    """Embeddings, their mean over the mask, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.last = nn.Embedding(TOKENS, 8), nn.Linear(8, CLASSES)

    def forward(self, *, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        hidden = torch.tanh(self.tokens(input_ids)) * attention_mask.unsqueeze(-1)
        return SimpleNamespace(logits=self.last(hidden.mean(dim=1)))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "own": Mean,
    "BERT": lambda: bert("sdpa"),
    "BERT-eager": lambda: bert("eager"),
    "DistilBERT": distilbert,
}


class Positional(nn.Module):
    """The same network, called with one tensor and returning one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, both: Tensor) -> Tensor:
        ids, mask = both.unbind(dim=1)
        return self.model(input_ids=ids, attention_mask=mask).logits


def batch(seed: int, **more: Tensor) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    mask = torch.ones(BATCH, LENGTH, dtype=torch.int64)
    mask[0, 3:] = 0
    return {
        "input_ids": torch.randint(TOKENS, (BATCH, LENGTH), generator=draw),
        "attention_mask": mask,
        "labels": torch.randint(CLASSES, (BATCH,), generator=draw),
        **more,
    }


def stacked(given: dict[str, Tensor]) -> tuple[Tensor, ...]:
    both = torch.stack([given["input_ids"], given["attention_mask"]], dim=1)
    return (both, given["labels"], *([given["index"]] if "index" in given else []))


class Here:
    """A model, its optimizer and a criterion, after one real step."""

    def __init__(self, name: str = "own", conditioner: Any = None) -> None:
        torch.manual_seed(0)
        self.model = MODELS[name]().double()
        self.criterion = learned() if conditioner is None else learned(conditioner=conditioner)
        self.criterion.prepare(torch.arange(BATCH) % CLASSES, CLASSES)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, eps=1e-3)
        self.step(batch(7, index=torch.arange(BATCH)))

    def step(self, given: dict[str, Tensor], scale: float = 1.0) -> None:
        self.optimizer.zero_grad()
        self.backward(given, scale)
        self.optimizer.step()

    def backward(self, given: dict[str, Tensor], scale: float = 1.0) -> None:
        inputs = {key: given[key] for key in ("input_ids", "attention_mask")}
        logits = self.model(**inputs).logits
        (scale * self.criterion(logits, given["labels"], given.get("index"))).backward()

    def ahead(self, batches: list[Any], meta: Any, **settings: Any) -> dict[str, Tensor]:
        return Lookahead(**settings).hypergradient(
            self.model, self.optimizer, self.criterion, batches, meta
        )


NAMES = mostly_exhaustive(MODELS.keys(), "own", "DistilBERT")


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_a_batch_gives_the_same_lookahead(name: str) -> None:
    here, given, meta = Here(name), batch(0), batch(1)
    alone = Positional(here.model)
    expected = Lookahead(strategy="unroll").hypergradient(
        alone, here.optimizer, here.criterion, [stacked(given)], stacked(meta)
    )
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-6
    labels = given.pop("labels")
    for form in ({**given, "labels": labels}, UserDict(given, labels=labels), (given, labels)):
        assert_near(here.ahead([form], meta, strategy="unroll"), expected, 1e-9)
        assert_near(here.ahead([form], meta), expected, 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_real_step_is_looked_back_over(name: str) -> None:
    here, given, meta = Here(name), batch(0), batch(1)
    expected = here.ahead([given], meta, strategy="unroll")
    lookback = Lookback()
    with lookback.step(here.model, here.optimizer, here.criterion, given):
        here.step(given)
    assert_near(lookback.hypergradient(meta), expected, 1e-9)


def test_several_steps_and_micro_batches() -> None:
    here, meta = Here(), batch(9)
    steps = [batch(k) for k in range(3)]
    expected = here.ahead(steps, meta, steps=3, strategy="unroll")
    lookback = Lookback(steps=3)
    for given in steps:
        with lookback.step(here.model, here.optimizer, here.criterion, given):
            here.step(given)
    assert_near(lookback.hypergradient(meta), expected, 1e-9)

    parts = [batch(k) for k in (4, 5)]
    whole = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    expected = here.ahead([whole], meta, strategy="unroll")
    lookback = Lookback()
    with lookback.step(here.model, here.optimizer, here.criterion, parts):
        here.optimizer.zero_grad()
        for part in parts:
            here.backward(part, 0.5)
        here.optimizer.step()
    assert_near(lookback.hypergradient(meta), expected, 1e-9)


class Tagger(nn.Module):
    """A class for each token, which models of transformers put last."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.last = nn.Embedding(TOKENS, 8), nn.Linear(8, CLASSES)

    def forward(self, *, input_ids: Tensor) -> dict[str, Tensor]:
        return {"logits": self.last(torch.tanh(self.tokens(input_ids)))}


class TaggerAsTorch(Tagger):
    """The same, with the classes where ``nn.CrossEntropyLoss`` has them."""

    def forward(self, *, input_ids: Tensor) -> Tensor:
        return super().forward(input_ids=input_ids)["logits"].movedim(-1, 1)


def tagged(seed: int) -> dict[str, Tensor]:
    """Return as many tokens as classes, so that no shape tells one axis from the other."""
    draw = torch.Generator().manual_seed(seed)
    shape = BATCH, CLASSES
    return {
        "input_ids": torch.randint(TOKENS, shape, generator=draw),
        "labels": torch.randint(CLASSES, shape, generator=draw),
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_classes_of_tokens_come_last(strategy: str) -> None:
    found = []
    for network in (Tagger, TaggerAsTorch):
        torch.manual_seed(0)
        model, criterion = network().double(), learned()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        ahead = Lookahead(strategy=strategy)
        given = model, optimizer, criterion, [tagged(0)], tagged(1)
        found.append(ahead.hypergradient(*given))
    assert max(float(g.abs().max()) for g in found[0].values()) > 1e-6
    assert_near(*found, 1e-9)


def test_the_index_goes_to_the_conditioner_and_not_to_the_model() -> None:
    def hypergradient(index: Tensor, form: Callable[[Any], Any]) -> dict[str, Tensor]:
        here = Here(conditioner=MovingAverage(learned().conditioner))
        model = here.model if form is dict else Positional(here.model)
        given = form(batch(0, index=index))
        return Lookahead().hypergradient(
            model, here.optimizer, here.criterion, [given], form(batch(1))
        )

    forward, backward = torch.arange(BATCH), torch.arange(BATCH).flip(0)
    assert_near(hypergradient(forward, dict), hypergradient(forward, stacked), 1e-9)
    with pytest.raises(AssertionError):
        assert_near(hypergradient(backward, dict), hypergradient(forward, dict), 1e-3)


# Errors


@pytest.mark.bad_input
@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize(
    ("left_out", "more", "words"),
    [
        ("labels", {}, "'labels' beside the model's inputs, got a dict with the keys input_ids, "),
        (None, {"input_ids": [[1, 2]]}, "inputs['input_ids'] as a tensor, got a list"),
        (None, {"labels": None}, "targets as a tensor, got None"),
    ],
)
def test_dictionaries_that_are_no_batches(
    left_out: str | None, more: dict[str, Any], words: str, strategy: str
) -> None:
    here, given = Here(), {**batch(0), **more}
    given.pop(left_out, None)
    refused(lambda: here.ahead([given], batch(1), strategy=strategy), "train_batches[0]", words)
    refused(lambda: here.ahead([batch(1)], given, strategy=strategy), "meta_batch", words)

    def step() -> None:
        with Lookback(strategy=strategy).step(here.model, here.optimizer, here.criterion, given):
            raise AssertionError("it was let through")

    refused(step, "batch: ", words)


@pytest.mark.bad_input
def test_inputs_that_are_not_finite_are_named() -> None:
    here = Here()
    given = batch(1, attention_mask=torch.full((BATCH, LENGTH), float("nan"), dtype=torch.float64))
    refused(lambda: here.ahead([batch(0)], given), "meta_batch: inputs['attention_mask']", "30 of")


@pytest.mark.bad_input
def test_one_dictionary_is_no_list_of_steps() -> None:
    here = Here()
    with pytest.raises(InputError, match="got a single one; put it in a list"):
        here.ahead(batch(0), batch(1))
