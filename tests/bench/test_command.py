"""``metaloss bench`` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

import metaloss.bench
from metaloss.cli import app
from tests.bench.helpers import pretended

ARGUMENTS = ["bench", "--case", "mlp", "--method", "unroll", "--method", "mixed", "--steps", "2"]


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        metaloss.bench, "measure", partial(metaloss.bench.measure, launch=pretended)
    )


def test_it_prints_the_table_and_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    done = CliRunner().invoke(app, [*ARGUMENTS, "--batch", "30", "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert "mlp, K = 2" in done.stdout
    assert "reference" in done.stdout
    assert "resnet32" not in done.stdout
    assert "mlp, K = 2, mixed: memory" in done.stderr
    assert "mixed: memory" not in done.stdout
    read = json.loads(path.read_text())
    assert read["settings"]["batch"] == 30
    assert read["settings"]["methods"] == ["unroll", "mixed"]
    assert [row["method"] for row in read["rows"]][2:] == ["unroll", "mixed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--case", "vgg"],
            "case: expected one of resnet32, mlp, transformer, got 'vgg'",
        ),
        (["--json", "nowhere/bench.json"], "json: expected a file in a folder that exists"),
    ],
)
def test_bad_input_is_one_line(
    refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert message in refused("bench", *arguments)
