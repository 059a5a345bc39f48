"""One process at a time may write to a run's folder."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.experiments import RunFolder, RunSettings
from metaloss.training import Observer
from tests.experiments.runs import experiment


def holds(path: Path) -> int:
    """Fork a process that writes to a folder until it is killed; return its number."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException), RunFolder(path) as folder:
            folder.begin({"config.gin": ""})
            os.write(writes, b"held")
            time.sleep(60)
        os._exit(1)
    os.close(writes)
    assert os.read(reads, 4) == b"held"
    os.close(reads)
    return child


@pytest.mark.filterwarnings("ignore:.* is multi-threaded, use of fork:DeprecationWarning")
def test_another_process_is_refused_by_name_until_it_ends(tmp_path: Path) -> None:
    process = holds(tmp_path / "run")
    try:
        named = rf"in use by process {process} on {re.escape(platform.node())} since 2\d{{3}}-"
        with pytest.raises(InputError, match=named):
            experiment().run(RunFolder(tmp_path / "run", resume=True))
        assert {path.name for path in (tmp_path / "run").iterdir()} == {
            "config.gin",
            ".lock",
            ".holder.json",
        }
    finally:
        os.kill(process, signal.SIGKILL)  # a dead holder keeps nothing
        os.waitpid(process, 0)
    experiment().run(RunFolder(tmp_path / "run", resume=True))
    assert not (tmp_path / "run" / ".holder.json").exists()


def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "run" / ".lock"))

    monkeypatch.setattr("filelock.FileLock.acquire", refused)
    with pytest.raises(InputError, match="expected a folder that can be written to, got Perm"):
        experiment().run(RunFolder(tmp_path / "run"))


def test_the_second_of_two_that_were_given_one_new_folder_is_refused(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with first, second:
        first.begin({"config.gin": "first"})
        with pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
            second.begin({"config.gin": "second"})
    with pytest.raises(InputError, match="got one with files in it"):
        experiment().run(second)
    assert (tmp_path / "run" / "config.gin").read_text() == "first"


def test_runs_started_at_the_same_moment_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = [RunFolder(tmp_path / "runs" / "demo", find_free=True) for _ in range(8)]
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        for folder in folders:
            stack.enter_context(folder)
        list(pool.map(lambda folder: folder.begin({"config.gin": ""}), folders))
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["demo", *(f"demo-{number}" for number in range(2, 9))]
    assert sorted(folder.path.name for folder in folders) == names


class During(Observer):
    """Calls a function in the middle of a run."""

    def __init__(self, act) -> None:
        self.act = act

    def epoch(self, record) -> None:
        if record["epoch"] == 2:
            self.act()


@pytest.mark.parametrize("inside", [False, True])
def test_an_experiment_holds_its_folder_while_it_runs(inside: bool, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    refused = []

    def resume() -> None:
        with pytest.raises(InputError, match="in use by"):
            experiment().run(RunFolder(tmp_path / "run", resume=True))
        refused.append(True)

    place = folder.part("task") if inside else folder
    rows = experiment().run(place, During(resume))
    assert refused == [True]
    if not inside:  # it holds it no longer
        assert experiment().run(RunFolder(tmp_path / "run", resume=True)) == rows


def test_a_folder_that_is_removed_meanwhile_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl|checkpoint\.pt"):
        experiment().run(
            RunFolder(tmp_path / "run"), During(lambda: shutil.rmtree(tmp_path / "run"))
        )

    class Last(Observer):
        def end(self, record) -> None:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(InputError, match="but it was removed"):
        experiment(settings=RunSettings(seeds=(0, 1), device="cpu")).run(
            RunFolder(tmp_path / "run"), Last()
        )
    assert not (tmp_path / "run").exists()


def test_a_run_killed_before_it_had_written_anything_can_be_started(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in (".lock", ".holder.json", ".config.gin.ab_3cd9z.part"):
        (run / name).write_text("{")
    with pytest.raises(InputError, match="expected the folder of a run to resume"):
        RunFolder(run, resume=True)
    experiment().run(RunFolder(run))
    (run / "A" / "seed-0" / ".model.safetensors.x1.part").write_text("half")
    experiment().run(RunFolder(run, resume=True))
    assert not list(run.rglob("*.part"))


class Steps(Observer):
    """Counts the steps."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, step: int) -> None:
        self.steps += 1


def test_a_document_is_made_before_the_first_step_and_kept(tmp_path: Path) -> None:
    watching = Steps()
    made = []

    def document() -> str:
        made.append(watching.steps)
        return f"made by call {len(made)}"

    run = tmp_path / "run"
    documents = {"operative.gin": document, "config.gin": "text"}
    experiment().run(RunFolder(run), watching, documents)
    experiment().run(RunFolder(run, resume=True), watching, documents)
    assert made == [0, watching.steps] and watching.steps > 0
    assert (run / "operative.gin").read_text() == "made by call 1"
    (run / "operative.gin").unlink()  # as where the process ended before it was written
    experiment().run(RunFolder(run, resume=True), watching, documents)
    assert (run / "operative.gin").read_text() == "made by call 3"
