"""Labels that somebody checked are kept where the list is written again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.labels.runs import invoke, refusal


@pytest.mark.parametrize("spoilt", ["UTF-16", "another title", "a line before"])
def test_checked_labels_that_cannot_be_found_are_not_written_over(
    quick: Path, tmp_path: Path, spoilt: str
) -> None:
    place = shutil.copytree(quick, tmp_path / "run")
    labels = place / "labels.csv"
    assert invoke("labels", place, "--top", 0).exit_code == 0
    text = labels.read_text().replace(",no,\n", ",no,3\n", 1)
    labels.write_text(text)
    assert invoke("labels", place, "--top", 0).exit_code == 0 and ",no,3\n" in labels.read_text()
    if spoilt == "UTF-16":
        labels.write_text(text, encoding="utf-16")
    elif spoilt == "another title":
        labels.write_text(text.replace("checked_label", "Checked"))
    else:
        labels.write_text(f"sep=,\n{text}")
    before = labels.read_bytes()
    assert "labels.csv: expected a list of labels, to be written again" in refusal(place)
    assert labels.read_bytes() == before
