"""An experiment of two processes, the second of which ends in the middle of the second epoch."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from metaloss.checks import InputError
from metaloss.experiments import RunFolder
from metaloss.processes import rank
from tests.helpers.tasks import Blobs, blobs
from tests.processes.blob_experiment import experiment


class Ends:
    """The loader of a process that ends at its eighth batch, once."""

    def __init__(self, loader: Any, how: str) -> None:
        self.loader, self.how = loader, how
        self.num_samples = loader.num_samples
        self.fingerprint = loader.fingerprint

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, number: int) -> Any:
        """The batches of an epoch."""
        for i, batch in enumerate(self.loader.epoch(number)):
            if rank() == 1 and number == 1 and i == 2:
                if self.how == "killed":
                    os._exit(3)
                if self.how == "error":
                    raise InputError("image 7: expected an image, got none")
            yield batch


def task(how: str, *arguments: Any, **named: Any) -> Blobs:
    """The task of a process."""
    shape = {"samples": 60, "batch_size": 12, "dtype": torch.float64, "validation": True}
    made = blobs(*arguments, **named, **shape)
    return replace(made, train=Ends(made.train, how))


if __name__ == "__main__":
    given = replace(experiment(2), task=partial(task, sys.argv[2]))
    given.run(RunFolder(Path(sys.argv[1])))
