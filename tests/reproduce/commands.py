"""Commands as a user types them, and what they write."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner

from metaloss.cli import app


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def scores(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return {line["method"]: line for line in csv.DictReader(file)}
