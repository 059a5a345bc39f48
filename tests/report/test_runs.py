"""Several folders, several tasks, regression, and folders that cannot be reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.report import write_report
from metaloss.report.rows import gather
from metaloss.report.sections.scores import results
from metaloss.report.sections.setup import environment
from metaloss.report.sources import read_source
from tests.report.conftest import METHODS, RUN, Copy, changed
from tests.report.parsed import parsed


def test_several_runs_share_a_table_their_charts_and_a_page(copied) -> None:
    first, second = copied("comparison", "first"), copied("comparison", "second")
    path = write_report([first, second])
    assert path == first / "comparison.html" and not (second / "report.html").exists()
    page = parsed(path)
    rows = ["first: CE", "first: A-GCE", "second: CE", "second: A-GCE"]
    # The same labels: one column a task, and the mean over tasks.
    assert page.tables[0][0] == ["method", "first", "second", "mean"]
    assert [row[0] for row in page.tables[0][1:]] == rows
    table = json.loads((first / "results.json").read_text())["rows"]
    assert [row[3] for row in page.tables[0][1:3]] == [f"{r['accuracy_mean']:.2f}" for r in table]
    (label,) = [each for each in page.labels() if each.startswith("Test loss, first,")]
    assert all(row in label for row in rows)
    assert page.text["configuration"].count("was started from Python") == 2


def test_tasks_of_one_name_and_other_labels_have_columns_of_their_own(copied) -> None:
    first, second = copied("classes", "first"), copied("classes", "second")
    for path in second.glob("*/seed-*/identity.json"):
        found = json.loads(path.read_text())
        found["tasks"]["blobs"]["targets"] = "others"
        path.write_text(json.dumps(found))
    report = gather([first, second])
    assert report.tasks == ["blobs (first)", "blobs (second)"]
    assert len(report.rows) == 2 * len(METHODS)
    cell = report.table().cell("second: CE", "blobs (first)")
    assert cell is None and "<td>-</td>" in results(report)


def test_a_run_of_python_has_no_configuration(made: Copy) -> None:
    assert read_source(made("values")).config is None
    assert read_source(made("classes")).config == "EPOCHS = 4  # <&>\n"


def test_regression_is_reported_by_its_error(made: Copy, tmp_path: Path) -> None:
    run = made("values")
    page = parsed(write_report([run], tmp_path / "page.html"))
    row = json.loads((run / "results.json").read_text())["rows"][0]
    assert page.tables[0][1] == ["L2", f"{row['mae_mean']:.4f}"]
    assert "Smaller is better" in page.text["results"] and "One seed" in page.text["results"]
    for start in (
        "Mean absolute error on test samples, ",
        "Error by wrong values, ",
        "A-Barron: alpha, from -4 to 1.99, over the size of the residual",
    ):
        assert any(label.startswith(start) for label in page.labels())
    assert "learned by heart" not in str(page.text)


def test_a_meta_training_is_reported_by_task(made: Copy) -> None:
    run = made("meta")
    report = gather([run])
    page = parsed(results(report) + environment(report))
    result = json.loads((run / RUN / "result.json").read_text())
    head, *rows = page.tables[0]
    assert head[1:3] == ["third", "fourth"]  # held out
    scores = {f"{task} (meta-training)": score for task, score in result["tasks"].items()}
    assert set(head[3:]) == set(scores)
    (own,) = [row for row in rows if row[0] == "A-GCE"]
    assert own[1:] == ["-", "-", *(f"{scores[task]:.2f}" for task in head[3:])]
    assert page.text["environment"].count("Together") == 1


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (shutil.rmtree, "expected the folder of a run (of metaloss fit or metaloss train), got "),
        (
            lambda run: (
                [shutil.rmtree(path) for path in run.glob("*/")] + [(run / "config.gin").unlink()]
            ),
            "got one without a run",
        ),
        (
            lambda run: [path.unlink() for path in run.glob("*/*/result.json")],
            "expected one finished run or more, got A-GCE/seed-0 is not finished: 4 epochs so far;",
        ),
        (
            lambda run: changed(run / RUN / "result.json", metric="mae", mae=1.0),
            "expected runs with one metric, got accuracy in ",
        ),
        (lambda run: (run / RUN / "result.json").write_text("{"), "result.json: expected JSON"),
        (
            lambda run: (run / RUN / "samples.safetensors").write_bytes(b"no"),
            "samples.safetensors: expected the file of a finished run",
        ),
    ],
    ids=["missing", "no run", "unfinished", "metrics", "result", "samples"],
)
def test_a_folder_that_cannot_be_reported_is_refused_in_a_line(copied, break_it, said) -> None:
    run = copied("classes")
    break_it(run)
    with pytest.raises(InputError) as refused:
        write_report([run])
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not (run / "report.html").exists()


def test_runs_with_other_metrics_and_runs_given_twice_are_refused(made: Copy) -> None:
    classes, values = made("classes"), made("values")
    with pytest.raises(InputError, match=r"expected runs with one metric, got accuracy in .* mae"):
        gather([classes, values])
    with pytest.raises(InputError, match="expected different folders"):
        gather([classes, classes / "."])
    with pytest.raises(InputError, match="folders: expected one or more, got none"):
        gather([])


def test_a_place_that_is_no_file_is_refused(made: Copy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="out: expected the name of a file, got the folder"):
        write_report([made("values")], tmp_path)
    with pytest.raises(InputError, match="expected a file in a folder that exists"):
        write_report([made("values")], tmp_path / "no" / "page.html")
    picture = tmp_path / "0.png"
    picture.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"out: expected the name of an HTML file, got .*0.png"):
        write_report([made("values")], picture)
    assert picture.read_bytes() == b"mine"
