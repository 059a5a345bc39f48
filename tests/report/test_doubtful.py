"""The section with the most doubtful labels, and the page that is written again."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaloss.checks import InputError
from metaloss.experiments.records.labels_file import (
    MOST,
    Doubtful,
    DoubtfulLabels,
    read_labels,
    to_json,
)
from metaloss.labels.thumbnails import data_uri
from metaloss.report import write_again, write_report
from metaloss.report.rows import gather
from metaloss.report.sections.doubtful import _shown, doubtful
from tests.report.parsed import parsed

PICTURE = data_uri(np.eye(8))


def left(folder: Path, *samples: Doubtful) -> None:
    """Leave what ``metaloss labels`` leaves."""
    (folder / "labels.json").write_bytes(to_json(DoubtfulLabels(samples, "A<b>, seed 0")))


def test_samples_are_shown_with_their_pictures(copied) -> None:
    run = copied("classes")
    name = "/data/<b>/a 7.png"
    left(run, Doubtful(name, "<i>cat", "dog", 0.25, PICTURE), Doubtful("7", "a", "b", 1e-9))
    page = parsed(doubtful(gather([run])))
    (first,) = page.all_of("img")
    assert first["src"] == PICTURE
    assert first["alt"] == "sample a 7.png, given <i>cat, suggested dog"
    text = page.text["doubtful"]
    for words in ("A<b>, seed 0", "given: <i>cat", "suggested: dog", "score: 0.250", "a 7.png"):
        assert words in text
    assert "score: <0.001" in text and "id: 7" in text
    assert not page.all_of("b") and not page.all_of("i")


def test_samples_that_are_no_images_are_in_a_table(copied) -> None:
    run = copied("classes")
    left(run, Doubtful("7", "a", "b", 0.5))
    page = parsed(doubtful(gather([run])))
    head = ["sample", "given", "suggested", "score"]
    assert [head, ["7", "a", "b", "0.500"]] in page.tables and not page.all_of("img")


def test_nothing_is_fetched_whatever_the_file_says(copied) -> None:
    run = copied("classes")
    for wrong in ("https://a.b/c.png", 'data:image/png;base64,AA" onload="x', "data:text/html,x"):
        left(run, Doubtful("7", "a", "b", 0.5, wrong))
        text = doubtful(gather([run]))
        assert "onload" not in text and "https" not in text and "text/html" not in text


def test_where_there_are_none_the_page_says_how_to_find_them(copied) -> None:
    run = copied("classes", "my run")
    assert f"<code>metaloss labels &#x27;{run}&#x27;</code>" in doubtful(gather([run]))
    (run / "config.gin").unlink()  # of a run of Python, which the command does not take
    assert doubtful(gather([run])) == ""
    (run / "labels.json").write_text("{")  # damaged
    assert doubtful(gather([run])) == ""


def test_each_task_of_a_comparison_has_its_own(copied) -> None:
    run = copied("comparison")
    (run / "config.gin").write_text("")
    text = doubtful(gather([run]))
    assert f"metaloss labels {run} --task first</code>" in text and "And so for second." in text
    left(run / "second", *[Doubtful(str(i), "a", "b", 0.5) for i in range(MOST)])
    text = doubtful(gather([run]))
    assert "<summary>second</summary>" in text and "And so for" not in text
    assert len(re.findall('<th scope="row">', text)) == MOST


@pytest.mark.parametrize("kind", ["values", "meta"])
def test_runs_that_the_command_refuses_have_no_section(copied, kind: str) -> None:
    run = copied(kind)
    (run / "config.gin").write_text("")
    assert doubtful(gather([run])) == ""


@pytest.mark.exhaustive
def test_a_page_is_written_again_if_it_is_about_this_run_alone(copied) -> None:
    run, other = copied("values"), copied("values", "a<other")
    assert write_again(run) is None and not (run / "report.html").exists()
    path = write_report([run])
    path.write_text(re.sub("<main>.*</main>", "", path.read_text(), flags=re.DOTALL))
    assert write_again(run) == path and "<main>" in path.read_text()
    write_report([other])
    assert write_again(other) == other / "report.html"
    assert write_report([run, other]) == run / "comparison.html" and write_again(run) == path
    write_report([run, other], path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="expected a page about this run alone, got one about sev"):
        write_again(run)
    assert path.read_bytes() == before


def test_pictures_are_small_and_keep_each_pixel_of_a_small_image() -> None:
    def opened(uri: str) -> Image.Image:
        return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))

    image = np.arange(64).reshape(8, 8) / 63
    small = np.asarray(opened(data_uri(image)))
    assert small.shape == (96, 96)
    assert (small[::12, ::12] == (255 * image).round()).all()
    large = data_uri(np.random.default_rng(0).integers(0, 255, (300, 200, 3), dtype=np.uint8))
    assert opened(large).size == (64, 96) and len(large) < 16_000
    assert json.dumps(large)[1:-1] == large


def test_the_share_of_wrong_labels_is_said(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    rates = {"cat": 0.25, "dog": 0.5, "empty": None}
    labels = DoubtfulLabels([], "", rate=0.42, rates=rates, transition=[[1.0, None]])
    path.write_bytes(to_json(labels))
    assert json.loads(path.read_text())["transition"] == [[1.0, None]]
    found = read_labels(tmp_path)
    assert found is not None and (found.rate, found.rates) == (0.42, rates)
    page = _shown(found)
    assert "42% of the labels are estimated to be wrong, most of all 50% of &#x27;dog&#x27;" in page
    path.write_bytes(json.dumps({"about": "", "samples": []}).encode())  # of an older version
    assert "estimated" not in _shown(read_labels(tmp_path))


def test_a_folder_may_have_any_name(copied) -> None:
    run = copied("classes")
    other = run.with_name("held-out")
    run.rename(other)
    left(other, Doubtful("7", "a", "b", 0.5))
    assert "0.500" in doubtful(gather([other]))
