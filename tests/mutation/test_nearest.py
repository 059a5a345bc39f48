"""The tests that are run for a changed file are there."""

from __future__ import annotations

from pathlib import Path

from tests.mutation.__main__ import CHANGED
from tests.mutation.nearest import rounds


def test_every_file_that_is_changed_has_tests() -> None:
    files = [file for path in map(Path, CHANGED) for file in (path, *path.rglob("*.py"))]
    assert all(file.exists() for file in files)
    for file in files:
        nearest, *others = rounds(file)
        assert others
        assert all(Path(name).exists() for names in (nearest, *others) for name in names)
