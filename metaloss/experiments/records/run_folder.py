"""The folder of an experiment.

.. code-block:: text

    RUN/
      config.gin         the configuration
      operative.gin      the configuration with all defaults that were used up to the first step
      results.json       the table; also as .csv, .md and .tex, and drawn in .png, .svg
      hyperparameters.png  what the first seed's adjusters predict; also as .svg
      report.html        the run on one page
      labels.csv         the ranked samples of ``metaloss labels``; also drawn in .png, and in .json
                         what the page shows of them
      folds/             fold runs of ``metaloss labels --folds``
      tensorboard/       the metrics for TensorBoard, if that was asked for
      meta_training.json  the results of a meta-training's runs
      held-out/          the report of a meta-training on held-out tasks: TASK/METHOD/seed-0
      A-GCE/seed-0/
        identity.json    the run's settings, compared when it is resumed
        inputs.json      how the inputs of a classification are made
        metrics.jsonl    one line per epoch
        checkpoint.pt    the state after the last finished epoch, until the run is done
        checkpoint-before.pt  the checkpoint before that one; checkpoint-before-2.pt and so on
        result.json      the run's result, written when it is done
        model.safetensors
        confusion.json   the test samples by true class and prediction, for classes
        margins.safetensors  each training sample's mean margin over training, for classes
        adjuster/        a learned adjuster: adjuster.safetensors and card.json
        samples.safetensors  the margin, loss and hyperparameters of each training sample
        samples-epoch-10.safetensors  the same after an earlier epoch, if that was asked for
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.experiments.records.folder_lock import HOLDER, LOCK, FolderLock
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_records import RunRecords
from metaloss.files import (
    check_new_folder,
    check_place,
    make_folder,
    read_text,
    user_path,
    write_atomically,
)
from metaloss.processes import on_first

Documents = Mapping[str, str | Callable[[], str]]


class RunFolder:
    """The folder of an experiment, which one process at a time may write to.

    As a context manager it holds its lock, once taken, until the block ends. An experiment takes
    the lock when it runs.

    Args:
        path: the folder. It is created at the first write.
        resume: continue in a folder that has runs in it.
        find_free: if ``path`` exists, take ``PATH-2``, ``PATH-3`` and so on.

    Raises:
        InputError: The folder contains files (without ``resume``), contains no run (with it), or
            cannot be written to.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from metaloss.experiments import RunFolder
        >>> place = Path(tempfile.mkdtemp()) / "run"
        >>> for _ in range(2):
        ...     with RunFolder(place, find_free=True) as folder:
        ...         folder.write("notes.txt", "...")
        ...         print(folder.path.name)
        run
        run-2
    """

    def __init__(self, path: str | Path, resume: bool = False, *, find_free: bool = False) -> None:
        place = user_path(path)
        if resume:
            expected = f"{place}: expected the folder of a run to resume"
            require(holds_run(place), f"{expected}, got none with a run")
        elif find_free:
            check_place(place)
        else:
            _check_new(place)
        self._lock = FolderLock(place, resume=resume, find_free=find_free)
        self._inside = Path()

    @property
    def path(self) -> Path:
        """The path of the folder."""
        return self._lock.path / self._inside

    @property
    def resumed(self) -> bool:
        """Whether it was opened with ``resume``."""
        return self._lock.resume

    @property
    def begun(self) -> bool:
        """Whether the folder was resumed, or created by this object."""
        return self._lock.begun

    def __enter__(self) -> RunFolder:
        self._lock.__enter__()
        try:
            if self.resumed:
                self._lock.take()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def begin(self, documents: Documents | None = None) -> None:
        """Create the folder and lock it; to be called inside a ``with`` block.

        Args:
            documents: texts to write to it, or functions that return them now, by file name. A
                file that a resumed run has is left as it is.

        Raises:
            InputError: Another process holds the lock, or has written to the folder meanwhile.
        """
        self._lock.take()
        self._write_new(documents or {})

    @on_first
    def _write_new(self, documents: Documents) -> None:
        for name, document in documents.items():
            text = document() if callable(document) else document
            if not (self.resumed and (self.path / name).exists()):
                self.write(name, text)

    @on_first
    def write(self, name: str, text: str) -> None:
        """Write a text file atomically.

        Args:
            name: the file's name.
            text: the content, written as UTF-8.
        """
        with self:
            self._lock.take()
            write_atomically(make_folder(self.path) / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file atomically."""
        self.write(name, json.dumps(value, indent=2) + "\n")

    @on_first
    def read(self, name: str) -> str:
        """Read a text file.

        Raises:
            InputError: It does not exist, or is not text.
        """
        return read_text(self.path / name)

    def part(self, name: str) -> RunFolder:
        """Return a folder inside this one, under the same lock."""
        part = copy.copy(self)
        part._inside = self._inside / name
        return part

    def run(self, method: str, seed: int) -> RunRecords:
        """Return the folder of one method's run with one seed, without creating it."""
        return RunRecords(self.path / slug(method) / f"seed-{seed}")


def holds_run(path: Path) -> bool:
    """Return whether a run was begun in a folder, from a gin file or from Python."""
    with suppress(OSError):  # such as a name that is too long
        runs = (run for depth in ("*", "*/*") for run in path.glob(f"{depth}/seed-*"))
        return (path / "config.gin").is_file() or any(runs)
    return False


def _check_new(path: Path) -> None:
    try:
        check_new_folder(path, besides=(LOCK, HOLDER))
    except InputError:
        require(
            not holds_run(path),
            f"{path}: expected a new or an empty folder, got one with a run in it; --resume goes "
            f"on with it (with one of metaloss.fit: metaloss train {path}/config.gin --out {path} "
            "--resume; in an experiment of your own: RunFolder(path, resume=True))",
        )
        raise
