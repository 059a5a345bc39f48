"""The list of learned adjusters."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest
from typer.testing import CliRunner

import metaloss
from metaloss.cli import app
from metaloss.conditioners import ClassMargins, Concat, Margin, RunningMean
from metaloss.diagnostics import criterion_cost
from metaloss.pretrained.spec import describe
from metaloss.pretrained.summary import Summary, summary

NAMES = [adjuster.name for adjuster in metaloss.list_pretrained()]


def shown(*arguments: str, width: int = 80) -> str:
    environment = {"COLUMNS": str(width), "TERM": "dumb"}
    done = CliRunner().invoke(
        app, ["adjusters", *arguments], env=environment, catch_exceptions=False
    )
    assert done.exit_code == 0
    return done.output


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(shown("--json"))}


def test_json_has_an_object_for_each(found: dict[str, dict[str, Any]]) -> None:
    assert list(found) == NAMES
    for each in found.values():
        assert set(each) == set(Summary._fields)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_the_adjuster_is(name: str, found: dict[str, dict[str, Any]]) -> None:
    each, criterion = found[name], metaloss.from_pretrained(name)
    assert each["loss"] == criterion.loss.family
    assert each["needs_index"] == criterion.conditioner.needs_index == name.endswith("-context")
    parts = getattr(criterion.conditioner, "conditioners", [criterion.conditioner])
    assert [read.split("(")[0] for read in each["reads"]] == [type(part).__name__ for part in parts]
    (card,) = (a.card for a in metaloss.list_pretrained() if a.name == name)
    rows = card["about"]["held_out"]
    keys = {"plain": "CE", "fixed": each["loss"], "adjusted": f"transferred A-{each['loss']}"}
    for row, key in keys.items():
        assert each["held_out"][row] == pytest.approx(statistics.mean(rows[key].values()), abs=1e-3)
    assert each["held_out_tasks"] == len(rows["CE"])


def test_the_table_has_all_of_them_whole_at_80_columns(found: dict[str, dict[str, Any]]) -> None:
    lines = shown().splitlines()
    assert max(map(len, lines)) <= 80
    for name, each in found.items():
        (line,) = (line for line in lines if name in line.split())
        figures = [f"{each['held_out'][row]:.1f}" for row in ("plain", "fixed", "adjusted")]
        assert line.split() == [name, each["loss"], *figures]


def test_adjusters_stand_under_what_they_read() -> None:
    whole = shown(width=200)
    groups = whole.split("Learned on ")[1:]
    assert len(groups) == 3
    for group in groups:
        kinds = {name.endswith("-context") for name in NAMES if name in group.split()}
        assert kinds == {"; needs sample ids" in group.splitlines()[0]}
        assert ("MovingAverage(Margin), ClassMargins" in group) == kinds.pop()


def test_features_are_told_apart_at_the_outermost_comma() -> None:
    inner = Concat([RunningMean(Margin()), ClassMargins()])
    (first, *_) = metaloss.list_pretrained()
    nested = first._replace(card={**first.card, "conditioner": describe(Concat([Margin(), inner]))})
    assert summary(nested).reads == ["Margin", "Concat(RunningMean(Margin), ClassMargins)"]


def test_a_card_without_held_out_figures_has_none() -> None:
    (first, *_) = metaloss.list_pretrained()
    about = {k: v for k, v in first.card["about"].items() if not k.startswith("held_out")}
    bare = summary(first._replace(card={**first.card, "about": about}))
    assert (bare.held_out, bare.held_out_tasks, bare.held_out_seeds) == ({}, 0, [])


def test_the_cost_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(criterion_cost, "BATCH", 8)
    monkeypatch.setattr(
        metaloss.pretrained, "list_pretrained", lambda: metaloss.list_pretrained()[:3]
    )
    costs = {each["name"]: each["cost"] for each in json.loads(shown("--json", "--cost"))}
    assert list(costs) == NAMES[:3]
    assert min(costs.values()) > 1  # a criterion does more than cross entropy
    table = shown("--cost")
    assert max(map(len, table.splitlines())) <= 80
    assert "relative to nn.CrossEntropyLoss" in table and "cost" in table
    assert "cost" not in shown()
