"""What follows from times, peaks and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaloss.bench.check import FAILED
from metaloss.bench.methods import CE, PLAIN
from metaloss.bench.results import Results, Row, completed, epoch_cost, verdict


def row(method: str, ratio: float | None = None, fresh: float = 1e-7) -> Row:
    return Row(case="mlp", steps=1, method=method, ratio=ratio, errors={"fresh": fresh})


def test_an_epoch_is_plain_iterations_but_for_the_meta_iterations() -> None:
    assert epoch_cost(plain=1.02, meta=3.7, meta_every=10) == pytest.approx((9 * 1.02 + 3.7) / 10)
    assert epoch_cost(plain=1.02, meta=3.7, meta_every=1) == 3.7


def test_a_ratio_is_of_medians_in_one_process() -> None:
    timed = row("mixed").timed([0.5, 0.3, 9.0], [0.1, 0.2, 0.05])
    assert timed.ms == pytest.approx(500)
    assert timed.ratio == pytest.approx(5.0)
    assert timed.times_ms == pytest.approx([500, 300, 9000])
    assert timed.ce_times_ms == pytest.approx([100, 200, 50])


def test_memory_is_counted_from_what_was_in_use_before() -> None:
    mib = 2**20
    found = row("mixed").weighed(
        {"before": 90 * mib, "peak": 250 * mib}, {"before": 50 * mib, "peak": 150 * mib}
    )
    assert found.memory_mib == 60


def test_ours_are_compared_with_the_fastest_peer() -> None:
    rows = completed(
        [row(CE, 1.0), row(PLAIN, 1.1), row("mixed", 3.0), row("higher", 6.0), row("torchopt", 5.0)]
    )
    mixed, higher = rows[2], rows[3]
    assert mixed.to_fastest_peer == pytest.approx(0.6)
    assert higher.to_fastest_peer is None
    assert mixed.epoch_10 == pytest.approx((9 * 1.1 + 3.0) / 10)
    assert higher.epoch_10 == pytest.approx((9 * 1.1 + 6.0) / 10)
    assert rows[0].epoch_10 is None


@pytest.mark.parametrize("fresh", [0.5, float("nan")])
def test_a_peer_that_is_wrong_is_no_match(fresh: float) -> None:
    rows = completed([row(PLAIN, 1.0), row("mixed", 3.0), row("higher", 1.0, fresh)])
    assert rows[1].to_fastest_peer is None
    rows = completed([*rows, row("torchopt", 6.0)])
    assert rows[1].to_fastest_peer == pytest.approx(0.5)


def test_without_a_plain_time_there_is_no_epoch() -> None:
    (found,) = completed([row("mixed", 3.0)])
    assert found.epoch_10 is None


@pytest.mark.parametrize(
    ("method", "fresh", "live", "expected"),
    [
        ("mixed", 1e-7, 3e-6, "3e-06"),
        ("lookback", 2e-3, 1e-7, "fresh differs: 2e-03"),
        ("mixed", 2e-3, 1e-7, "fresh differs: 2e-03"),
        ("torchopt", 1e-7, 0.3, "live differs: 3e-01"),
        ("higher", 0.1, 0.3, "differs: 3e-01"),
        ("difference", 2e-3, 9e-3, "9e-03"),
        ("difference", 2e-2, 9e-3, "fresh differs: 2e-02"),
        ("mixed", float("nan"), 1e-7, "fresh differs: nan"),
        ("unroll", 0.0, 0.0, "reference"),
    ],
)
def test_a_row_says_whether_its_hypergradient_differs(
    method: str, fresh: float, live: float, expected: str
) -> None:
    assert verdict(method, {"fresh": fresh, "live": live}) == expected


def test_a_check_that_failed_is_noted_once() -> None:
    found = row("higher").noted("RuntimeError: no").checked({FAILED: "RuntimeError: no"})
    assert found.hypergradient == "not checked"
    assert found.note == "RuntimeError: no"
    assert found.noted("other").note == "RuntimeError: no; other"


def test_the_file_holds_everything_and_no_nan(tmp_path: Path) -> None:
    rows = [
        row("mixed").timed([0.5], [0.1]).checked({"fresh": 1e-7, "live": float("nan")}),
        row("betty").noted("not installed"),
    ]
    results = Results(
        machine={"cores": 2}, versions={"torch": "2"}, settings={"batch": 100}, rows=rows
    )
    results.write(tmp_path / "bench.json")
    read = json.loads((tmp_path / "bench.json").read_text())
    assert read == results.as_dict()
    assert [Row(**each) for each in read["rows"]] == rows
    assert read["rows"][0]["errors"] == {"fresh": 1e-7, "live": None}
    assert read["rows"][0]["hypergradient"] == "live differs: nan"
