"""A disk that fails ends a run with the name of the file, and the run can be resumed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from metaloss import files
from metaloss.experiments import RunFolder
from metaloss.files import is_part
from tests.experiments.runs import experiment

FILES = (
    "identity.json",
    "metrics.jsonl",
    "checkpoint.pt",
    "model.safetensors",
    "adjuster.safetensors",
    "card.json",
    "samples.safetensors",
    "result.json",
    "results.json",
)
ERRORS = {
    "full": (errno.ENOSPC, "No space left on device"),
    "read-only": (errno.EROFS, "Read-only file system"),
    "not allowed": (errno.EACCES, "Permission denied"),
    "broken": (errno.EIO, "Input/output error"),
}


class Disk:
    """A disk on which writes to files of one name fail, from the second of them on."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number, self.times = name, number, 0
        self.create, self.open = files._create, Path.open

    def fail(self, name: str) -> None:
        self.times += name == self.name
        several = self.name in {"metrics.jsonl", "checkpoint.pt"}
        if name == self.name and self.times > several:
            raise OSError(self.number, os.strerror(self.number))

    def created(self, path: Path) -> int:
        self.fail(path.name.split(".", 1)[1].rsplit(".", 2)[0])
        return self.create(path)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        def opened(path: Path, mode: str = "r", **settings: Any) -> Any:
            if "a" in mode:
                with self.open(path, mode, **settings) as file:
                    file.write('{"epoch": 2, "tr')  # as far as there is space
                self.fail(path.name)
                os.truncate(path, path.stat().st_size - 16)
            return self.open(path, mode, **settings)

        patch.setattr(files, "_create", self.created)
        patch.setattr(Path, "open", opened)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on a disk that works."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    experiment().run(RunFolder(folder))
    return folder


# Each file once, and each error of a file that is made once and of one that is written again.
CASES = [
    *[(name, list(ERRORS)[at % len(ERRORS)]) for at, name in enumerate(FILES)],
    *[(name, error) for name in ("metrics.jsonl", "result.json") for error in ERRORS],
]


@pytest.mark.parametrize(("name", "error"), dict.fromkeys(CASES))
def test_the_file_is_named_and_the_run_goes_on(
    name: str, error: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, words = ERRORS[error]
    disk = Disk(name, number)
    with monkeypatch.context() as patch:
        disk.watch(patch)
        with pytest.raises(OSError, match=rf"{words}: '.*/{name}'$"):
            experiment().run(RunFolder(tmp_path / "run"))
    run = tmp_path / "run"
    assert not [path for path in run.rglob("*") if is_part(path)]
    experiment().run(RunFolder(run, resume=True))
    for same in ("results.json", "A/seed-0/model.safetensors"):
        assert (run / same).read_bytes() == (whole / same).read_bytes()
