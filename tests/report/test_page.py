"""The page as a whole: its structure, its numbers, and that it needs nothing else."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest

from metaloss.report import write_report
from metaloss.report.page import SECTIONS
from metaloss.report.rows import gather
from metaloss.report.sections.scores import results
from tests.report.conftest import METHODS, ODD, RUN, Copy, lines_of
from tests.report.parsed import Page, parsed

ORDER = [
    "results",
    "warnings",
    "confusion",
    "doubtful",
    "epochs",
    "curves",
    "means",
    "distributions",
    "loss",
    "configuration",
    "environment",
]

pytestmark = pytest.mark.drawn


@pytest.fixture(scope="module")
def run(made: Copy) -> Path:
    return made("classes")


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return parsed(write_report([run], tmp_path_factory.mktemp("page") / "page.html"))


def test_sections_stand_in_their_order_and_are_linked(page: Page) -> None:
    assert [section["id"] for section in page.all_of("section")] == ORDER
    assert [link["href"] for link in page.all_of("a")] == [f"#{name}" for name in ORDER]
    assert len(SECTIONS) == len(ORDER)


def test_it_needs_no_other_file_no_script_and_no_network(page: Page, run: Path) -> None:
    assert not page.all_of("script") and not page.all_of("img") and not page.all_of("style")[1:]
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for value in [attributes.get("href", "#"), *re.findall(r"url\((.)", str(attributes))]:
            assert value[0] == "#" or value.startswith("data:")
    assert "http" not in page.text[""]


def test_every_id_is_there_once_and_every_reference_has_one(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        used = re.findall(r"url\(#([^)]+)\)", " ".join(attributes.values()))
        used += [attributes["for"]] if "for" in attributes else []
        used += [attributes["href"][1:]] if attributes.get("href", "")[:1] == "#" else []
        assert set(used) <= set(ids)


def test_the_table_has_the_numbers_of_the_results(page: Page, run: Path) -> None:
    rows = json.loads((run / "results.json").read_text())["rows"]
    expected = [
        [row["method"], f"{row['accuracy_mean']:.2f} ± {row['accuracy_std']:.2f}"] for row in rows
    ]
    assert page.tables[0] == [["method", "blobs"], *expected]
    assert page.tables[1][0] == ["method", "task", "seed 0", "seed 1"]
    assert page.tables[1][2][2:] == [f"{value:.2f}" for value in rows[1]["values"]]


def test_the_best_is_marked_and_an_oracle_is_not_ranked(copied) -> None:
    run = copied("classes")
    for method, (one, two) in {
        "CE": (80, 82),
        "A-GCE": (90, 92),
        "oracle": (99, 99),
        "A-b-x": (91, 89.5),
    }.items():
        for seed, value in enumerate((one, two)):
            path = run / method / f"seed-{seed}/result.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "accuracy": value}))
    text = results(gather([run]))
    assert re.findall(r"<strong>(.*?)</strong>", text) == ["91.00 ± 1.41"]
    assert re.findall(r"<em>(.*?)</em>", text) == ["90.25 ± 1.06"]
    assert "99.00 ± 0.00" in text


def test_charts_are_drawn_of_the_metrics(page: Page, run: Path) -> None:
    def last(method: str, key: str) -> str:
        lines = [lines_of(run / method / f"seed-{seed}")[-1] for seed in (0, 1)]
        return f"{statistics.fmean(line[key] for line in lines):.4g}"

    for title, key in (
        ("Accuracy on test samples", "test_accuracy"),
        ("Test loss", "test_loss"),
        ("Meta loss", "meta_loss"),
        ("Wrong labels learned by heart", "train_accuracy_flipped"),
        ("Right labels learned", "train_accuracy_clean"),
        ("q, right labels", "q_clean"),
        ("q, wrong labels", "q_flipped"),
        ("Training loss", "train_loss"),
    ):
        (label,) = [each for each in page.labels() if each.startswith(f"{title}, blobs,")]
        assert f"A-GCE {last('A-GCE', key)}" in label
        assert ("CE " in label.split("end: ")[1].split("; ")[0]) == (key in lines_of(run / RUN)[0])


def test_labels_learned_by_heart_are_in_a_table(page: Page, run: Path) -> None:
    (table,) = [each for each in page.tables if each[0][-1] == "wrong labels learned by heart"]
    lines = [lines_of(run / f"CE/seed-{seed}")[-1] for seed in (0, 1)]
    means = [
        statistics.fmean(line[f"train_accuracy_{group}"] for line in lines)
        for group in ("clean", "flipped")
    ]
    assert table[1] == ["CE", *(f"{mean:.1f}%" for mean in means)]


def test_adjusters_are_drawn_over_the_whole_range(page: Page) -> None:
    assert any(
        label.startswith(
            "A-GCE: q, from 0 to 1, over the margin in logits. Curves at 33%, 67%, 100%"
        )
        for label in page.labels()
    )
    assert any(
        label.startswith(f"{ODD}: lam, from 0 to 10, over") and "60 of 60 samples" in label
        for label in page.labels()
    )
    times = [label for label in page.labels() if label.startswith("A-GCE: weight, epoch")]
    assert [label.split(":")[1] for label in times] == [
        " weight, epoch 2 of 4",
        " weight, epoch 4 of 4",
    ]


def test_names_are_escaped_everywhere(page: Page, run: Path) -> None:
    assert METHODS[2].name == ODD
    assert not page.all_of("b")
    assert page.tables[0][3][0] == ODD
    # In pictures too, where a pair of dollars would be mathematics.
    assert f"{ODD}: d" in page.text["curves"] or f"{ODD}: " in page.text["curves"]
    assert "EPOCHS = 4  # <&>" in page.text["configuration"]


def test_the_machine_and_the_seconds_are_shown(page: Page, run: Path) -> None:
    about = json.loads((run / "results.json").read_text())
    said = {row[0]: row[1] for row in page.tables[-2][1:]}
    assert said["torch"] == about["versions"]["torch"]
    assert said["device"] == about["machine"]["device"]
    seconds = [json.loads(path.read_text())["seconds"] for path in run.glob("*/seed-*/result.json")]
    assert f"Together: {sum(seconds):.0f} seconds in 8 runs." in page.text["environment"]


def test_each_line_has_a_box_that_hides_it(page: Page) -> None:
    boxes = [box["id"] for box in page.all_of("input")]
    assert boxes == [f"show-{number}" for number in range(len(METHODS))]
    classes = {attributes.get("class") for tag, attributes in page.elements if tag == "g"}
    assert {f"series-{number}" for number in range(len(METHODS))} <= classes
    for number in range(len(METHODS)):
        assert f"body:has(#show-{number}:not(:checked)) .series-{number}" in page.text[""]


@pytest.mark.exhaustive
def test_the_same_runs_make_the_same_page(made: Copy, tmp_path: Path) -> None:
    run = made("values")
    one, two = (write_report([run], tmp_path / name) for name in ("one.html", "two.html"))
    assert one.read_bytes() == two.read_bytes()
