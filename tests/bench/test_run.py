"""All measurements, with made-up ones and with real ones of small networks."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.console import Console

from metaloss.bench import Results, Settings, measure
from metaloss.bench.check import FAILED
from metaloss.bench.jobs import CHECK, MEMORY, TIME, Job, perform
from metaloss.bench.methods import CE, METHODS, PLAIN
from metaloss.bench.report import report
from metaloss.checks import InputError
from tests.bench.helpers import pretended


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaloss.bench.methods.find_spec", lambda _: object())


def shown(results: Results) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report(results))
    return console.export_text()


@pytest.mark.usefixtures("everything_installed")
def test_every_case_has_every_method_at_every_k() -> None:
    lines: list[str] = []
    results = measure(Settings(), lines.append, pretended)
    places = [(row.case, row.steps, row.method) for row in results.rows]
    assert places == [
        (case, steps, method)
        for case in ("resnet32", "mlp", "transformer")
        for steps, methods in ((0, (CE, PLAIN)), (1, METHODS), (5, METHODS))
        for method in methods
    ]
    assert lines[0] == f"[1/{len(lines)}] resnet32, K = 1, CE step: memory"
    assert lines[-1] == f"[{len(lines)}/{len(lines)}] transformer, K = 5, betty: memory"


@pytest.mark.usefixtures("everything_installed")
def test_a_row_holds_what_its_own_jobs_found() -> None:
    settings = Settings(cases=("mlp",), methods=("mixed", "higher", "learn2learn"), steps=(5,))
    ce, plain, mixed, higher, learn2learn = measure(settings, launch=pretended).rows
    assert (ce.ms, ce.ratio, ce.memory_mib) == (2000, 1, 0)
    assert plain.ratio == len(PLAIN)
    assert mixed.ms == 10_000
    assert mixed.ratio == 5
    assert mixed.memory_mib == 5
    assert mixed.to_fastest_peer == pytest.approx(5 / 6)
    assert mixed.epoch_10 == pytest.approx((9 * len(PLAIN) + 5) / 10)
    assert higher.epoch_10 == pytest.approx((9 * len(PLAIN) + 6) / 10)
    assert learn2learn.errors == {"fresh": 1e-7, "live": 2e-7}
    assert {row.note for row in (ce, plain, mixed, higher, learn2learn)} == {""}


def test_jobs_are_told_the_settings() -> None:
    seen: list[Job] = []

    def launch(job: Job) -> dict[str, Any]:
        seen.append(job)
        return pretended(job)

    settings = Settings(
        cases=("mlp",),
        methods=("mixed",),
        steps=(3,),
        batch=17,
        repeats=4,
        threads=2,
        channels_last=True,
        quick=True,
    )
    measure(settings, launch=launch)
    assert {(j.task, j.methods[0], j.steps) for j in seen} == {
        (MEMORY, CE, 1),
        (TIME, PLAIN, 1),
        (MEMORY, PLAIN, 1),
        (CHECK, "mixed", 3),
        (TIME, "mixed", 3),
        (MEMORY, "mixed", 3),
    }
    for job in seen:
        assert (job.case, job.batch, job.repeats, job.threads) == ("mlp", 17, 4, 2)
        assert job.device == "cpu"
        assert job.channels_last
        assert job.small


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.parametrize("task", [TIME, MEMORY, CHECK])
def test_a_failure_is_said_in_its_row_and_the_others_go_on(task: str) -> None:
    def launch(job: Job) -> dict[str, Any]:
        if job.task == task and (task == CHECK or job.methods == ("higher",)):
            return {FAILED: "RuntimeError: no"}
        return pretended(job)

    settings = Settings(cases=("mlp",), methods=("higher", "mixed"), steps=(1,))
    results = measure(settings, launch=launch)
    higher, mixed = results.rows[2:]
    assert higher.note == "RuntimeError: no"
    assert (higher.ms is None) == (task == TIME)
    assert (higher.memory_mib is None) == (task != CHECK)
    assert mixed.ratio == 5
    assert mixed.memory_mib == 5
    assert mixed.hypergradient == ("not checked" if task == CHECK else "2e-07")
    assert "higher: RuntimeError: no" in shown(results)


def test_even_the_plain_steps_may_fail() -> None:
    settings = Settings(cases=("mlp",), methods=("mixed",), steps=(1,))
    results = measure(settings, launch=lambda job: {FAILED: "killed"})
    assert [row.note for row in results.rows] == ["killed"] * 3
    assert "CE step: killed" in shown(results)


def test_one_who_is_not_installed_has_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaloss.bench.methods.find_spec", lambda _: None)
    lines: list[str] = []
    settings = Settings(cases=("mlp",), methods=("betty", "mixed"), steps=(1,))
    results = measure(settings, lines.append, pretended)
    assert results.rows[2].note == "not installed"
    assert results.rows[2].ms is None
    assert results.rows[3].to_fastest_peer is None
    assert not [line for line in lines if "betty" in line]
    assert lines[-1].startswith(f"[{len(lines)}/{len(lines)}] ")
    assert "betty: not installed" in shown(results)


@pytest.mark.usefixtures("everything_installed")
def test_a_hypergradient_that_differs_is_shown_with_what_is_known_of_it() -> None:
    def launch(job: Job) -> dict[str, Any]:
        found = pretended(job)
        if job.task == CHECK:
            found["torchopt"]["live"] = 0.5
            found["higher"]["fresh"] = found["higher"]["live"] = 1.0
        return found

    settings = Settings(cases=("mlp",), methods=("mixed", "higher", "torchopt"), steps=(1,))
    results = measure(settings, launch=launch)
    assert results.rows[3].hypergradient == "differs: 1e+00"
    assert "momentum" in results.rows[4].note
    # The wrong one would have been the faster one.
    assert results.rows[2].to_fastest_peer == pytest.approx(5 / 8)
    text = shown(results)
    assert "differs: 1e+00" in " ".join(text.split())
    assert "torchopt: MetaSGD starts without" in text


@pytest.mark.usefixtures("everything_installed")
def test_the_table_fits_a_narrow_terminal() -> None:
    text = shown(measure(Settings(batch=64), launch=pretended))
    assert "…" not in text
    for case in ("resnet32", "mlp", "transformer"):
        assert f"{case}, K = 1" in text
        assert f"{case}, K = 5" in text
    assert "batch 64" in text
    words = " ".join(text.split())
    assert (
        words.count(
            "lookback, lookback-kept: one real step, and the hypergradient through the last 5;"
        )
        == 3
    )
    assert words.count("through the last 5; the 4 before it are ordinary steps") == 3
    assert "torch 2" in text


@pytest.mark.exhaustive
def test_real_measurements_of_a_small_network() -> None:
    settings = Settings.given(
        cases=["mlp"], methods=["lookback", "unroll"], steps=[1, 2], quick=True
    )
    results = measure(settings, launch=perform)
    assert len(results.rows) == 6
    for row in results.rows:
        assert row.note == ""
        assert len(row.times_ms) == 2
        assert row.ratio is not None
        assert row.ratio > 0
        assert math.isfinite(row.memory_mib)
    assert [row.hypergradient for row in results.rows if row.method == "unroll"] == [
        "reference"
    ] * 2
    assert all(max(row.errors.values()) < 1e-3 for row in results.rows if row.steps)
    assert results.versions["torch"]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"cases": ("vgg",)},
            "case: expected one of resnet32, mlp, transformer, got 'vgg'",
        ),
        ({"cases": ()}, "case: expected at least one of resnet32"),
        (
            {"methods": ("jax",)},
            "method: expected one of lookback, lookback-kept, mixed, unroll, difference",
        ),
        ({"steps": (0,)}, "steps: expected a whole number of at least 1, got 0"),
        ({"steps": ()}, "steps: expected at least one number"),
        ({"batch": 1}, "batch: expected a whole number of at least 2, got 1"),
        ({"repeats": 0}, "repeats: expected a whole number of at least 1, got 0"),
        ({"threads": 0}, "threads: expected a whole number of at least 1, got 0"),
        ({"device": "abacus"}, "device: expected one that torch has here, got 'abacus'"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="^" + message.replace("(", r"\(")):
        Settings(**changed)


def test_what_is_not_given_is_the_default() -> None:
    assert Settings.given(cases=None, methods=[], batch=None) == Settings()
    assert (Settings().batch, Settings().steps) == (100, (1, 5))
    assert Settings.given(steps=[2, 1, 2]).steps == (2, 1)
    with pytest.raises(InputError, match="batch: expected a whole"):
        Settings.given(batch=0)


def test_quick_is_small_unless_told_otherwise() -> None:
    quick = Settings.given(quick=True)
    assert (quick.batch, quick.repeats, quick.quick) == (8, 2, True)
    told = Settings.given(quick=True, batch=20, repeats=3)
    assert (told.batch, told.repeats) == (20, 3)
