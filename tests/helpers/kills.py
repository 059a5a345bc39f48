"""An experiment that is run in a child process, which is killed at a chosen moment.

The child is forked: starting Python takes longer than the run.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from metaloss import files, runner
from metaloss.config import configuration
from metaloss.experiments import RunFolder
from metaloss.experiments.records.run_folder import holds_run
from metaloss.training.multi_task import MultiTaskTraining

CONFIG = """
from __gin__ import dynamic_registration
from metaloss import experiments
from metaloss import losses
from metaloss import training
from tests.helpers import tasks
from torch import nn
from torch import optim

experiments.Experiment.task = @tasks.blobs
experiments.Experiment.model = @nn.Linear
nn.Linear.in_features = 5
nn.Linear.out_features = 3
experiments.Experiment.methods = [@experiments.Searched(), @experiments.Adjusted()]
experiments.Searched.name = 'searched'
experiments.Searched.loss = @losses.GCE()
experiments.Searched.grid = {{'q': (0.3, 0.7)}}
experiments.Adjusted.name = 'A-GCE'
experiments.Adjusted.loss = @losses.GCE()
experiments.Experiment.recipe = @training.Recipe()
training.Recipe.epochs = 3
training.Recipe.meta_every = 2
training.Recipe.optimizer = @optim.SGD
optim.SGD.lr = 0.1
optim.SGD.momentum = 0.9
experiments.Experiment.settings = @experiments.RunSettings()
experiments.RunSettings.seeds = ({seeds},)
experiments.RunSettings.device = 'cpu'
experiments.RunSettings.keep_checkpoints = 3
experiments.RunSettings.record_samples = (0.67, 1.0)
"""


class Moments:
    """The moments before and after each write and each training step, by number and by name.

    Args:
        kill: the moment at which this process is killed, counted from 1, if any.
    """

    def __init__(self, kill: int | None = None) -> None:
        self.kill = kill
        self.names: list[str] = []

    def at(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, function: str, named: Callable[..., str]) -> None:
        """Replace a function by one that tells of each call, before and after it."""
        original = getattr(owner, function)

        @wraps(original)
        def told(*args: Any, **kwargs: Any) -> Any:
            name = f"{function} {named(*args, **kwargs)}"
            self.at(f"before {name}")
            found = original(*args, **kwargs)
            self.at(f"after {name}")
            return found

        setattr(owner, function, told)

    def watch_all(self) -> None:
        self.watch(files, "_create", lambda path: path.name.split(".", 1)[1].rsplit(".", 2)[0])
        self.watch(pathlib.Path, "replace", lambda path, to: Path(to).name)
        self.watch(pathlib.Path, "unlink", lambda path, *_, **__: path.name)
        self.watch(pathlib.Path, "mkdir", lambda path, *_, **__: path.name)
        os.fsync = lambda _: None  # what a killed process wrote is there without it, and it is slow
        self.watch(os, "fsync", lambda _: "")
        self.watch(MultiTaskTraining, "turn", lambda *_: "")


def run(path: Path, pictures: bool, seeds: str) -> None:
    """Run the experiment in a folder, or go on with what is there."""
    folder = RunFolder(path, resume=holds_run(path))
    config = path.parent / "blobs.gin"
    config.write_text(CONFIG.format(seeds=seeds))
    if pictures:
        runner.run(str(config), folder)
    else:
        with folder, configuration([config]) as parsed:
            runner.run_parsed(parsed, folder)


def forked(path: Path, moments: Moments, *how: Any) -> int:
    """Run in a child process; return how it ended. Its moments are written beside the folder."""
    path.parent.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        try:
            with Path(os.devnull).open("w") as nothing:
                os.dup2(nothing.fileno(), 1)
            moments.watch_all()
            run(path, *how)
            moments.kill = None
            (path.parent / "moments.json").write_text(json.dumps(moments.names))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]
