"""Experiments of two processes, of which one is killed at a moment: PLACE KILLS.

It forks the processes, which torchrun would start, so that their imports are done once. Each
process writes the number of its moments, if it is not killed.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import lightning_fabric  # noqa: F401 - these three as well, which a run imports where it uses them
import matplotlib.figure  # noqa: F401
import scipy.stats  # noqa: F401

from metaloss.experiments import RunFolder
from metaloss.experiments.records.run_folder import holds_run
from tests.helpers.kills import Moments
from tests.processes.blob_experiment import experiment


def run(place: Path, moments: Moments) -> None:
    """Run, or go on with what is there."""
    given = experiment(2)
    given = replace(given, settings=replace(given.settings, keep_checkpoints=3))
    folder = RunFolder(place, resume=holds_run(place))
    given.settings.engine.launch()
    moments.watch_all()
    given.run(folder)
    moments.kill = None


def forked(place: Path, of: int | None = None, moment: int | None = None) -> list[int]:
    """Run in two processes; return how they ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    joined = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "run"}
    counts = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            try:
                given = {**joined, **counts, "RANK": rank, "LOCAL_RANK": rank}
                os.environ.update({name: str(value) for name, value in given.items()})
                moments = Moments(moment if rank == of else None)
                run(place, moments)
                (place.parent / f"{place.name}-{rank}").write_text(str(len(moments.names)))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitpid(child, 0)[1] for child in children]


def main(place: Path, kills: int) -> None:
    """Run to the end, and as often for each process until it is killed; then go on."""
    assert forked(place / "whole") == [0, 0]
    for rank in range(2):
        moments = int((place / f"whole-{rank}").read_text())
        for moment in random.Random(rank).sample(range(1, moments + 1), kills):
            path = place / f"killed-{rank}-{moment}"
            ended = forked(path, rank, moment)
            assert os.WTERMSIG(ended[rank]) == signal.SIGKILL, (rank, moment, ended)
            assert ended[0] != 0  # it notices that the other has ended
            assert forked(path) == [0, 0], (rank, moment)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
