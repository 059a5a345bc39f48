"""Runs of one epoch on a few small images, made once, whose data are then moved away."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from metaloss.checks import InputError
from metaloss.cli import app

CLASSES = ("Käfer", 'cat, "black"', "label")
TITLES = ["Käfer", 'cat, "black"', "p(label)"]
SIZE = 8

CONFIG = """
from __gin__ import dynamic_registration
from metaloss import experiments
from metaloss import tasks
from metaloss.tasks import noise
include 'tasks/image_folder.gin'
include 'models/small_cnn.gin'
include 'runs/sgd.gin'
include 'losses/ce.gin'
include 'losses/gce.gin'
NUM_CLASSES = 3
SIZE = 8
tasks.image_folder.labels_checked = True
tasks.classification_task.num_meta = 6
tasks.classification_task.meta_batch_size = 6
tasks.classification_task.batch_size = 9
"""
ONE = f"""{CONFIG}
experiments.Experiment.methods = [@ce/experiments.Conventional(), @a_gce/experiments.Adjusted()]
SEEDS = (3, 4)
"""
FILES = f"""{CONFIG}
experiments.Experiment.methods = [@ce/experiments.Conventional()]
tasks.classification_task.data = @tasks.image_files
tasks.classification_task.augment = None
tasks.image_files.root = %DATA
tasks.image_files.size = %SIZE
tasks.image_files.labels_checked = True
"""
SEVERAL = f"""{CONFIG}
include 'runs/comparison.gin'
experiments.Comparison.methods = [@ce/experiments.Conventional()]
experiments.Comparison.tasks = @tasks.noise_grid()
tasks.noise_grid.task = @tasks.classification_task
tasks.noise_grid.noises = {{'symmetric': @noise.symmetric}}
tasks.noise_grid.rates = (0.2, 0.4)
"""


@dataclass(frozen=True)
class Runs:
    """Finished runs, and where the images are that they were trained on.

    Attributes:
        images: the folder of the data set now; none of the runs knows it.
        data: where it was when they were trained; nothing is there any more.
        one: an experiment with two methods and two seeds on images in memory.
        files: one on image files.
        several: a comparison on two tasks.
    """

    images: Path
    data: Path
    one: Path
    files: Path
    several: Path

    @contextmanager
    def with_data(self) -> Iterator[None]:
        """Bring the data back for a while."""
        shutil.copytree(self.images, self.data)
        try:
            yield
        finally:
            shutil.rmtree(self.data)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "100"})


def train(place: Path, text: str) -> Path:
    """Train by the text of a gin file, which is deleted."""
    config = place.with_suffix(".gin")
    config.write_text(text, encoding="utf-8")
    done = invoke("train", config, "--out", place)
    assert done.exit_code == 0, (done.exception, done.output)
    config.unlink()
    return place


def predicted(*words: object) -> list[dict[str, str]]:
    """The rows that `metaloss predict` writes to standard output."""
    done = invoke("predict", *words)
    assert done.exit_code == 0, (done.exception, done.output)
    return rows(done.stdout)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def refusal(*words: object) -> str:
    """The one line with which `metaloss predict` refuses; nothing is on standard output."""
    done = invoke("predict", *words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.stdout == ""
    assert "\n" not in str(done.exception)
    return str(done.exception)


def write_images(root: Path) -> None:
    """Three classes, of which some images are grey, deep, transparent, turned or not square."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for label, name in enumerate(CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                low = 50 * label
                pixels = draw.integers(low, low + 100, (10 + number, 14, 3), dtype=np.uint8)
                image = Image.fromarray(pixels)
                turned = Image.Exif()
                if number == 1:
                    image = image.convert("L")
                if number == 2:
                    turned[274] = 6  # the orientation: turned by a quarter
                if number == 3:
                    image = image.convert("RGBA")
                    image.putalpha(100)
                image.save(folder / f"{number:02d}, ü.png", exif=turned)
