"""Time and memory against the number of samples, classes, parameters, steps, tasks and processes.

    python docs/scripts/size_study.py
    python docs/scripts/plot_size.py

The first writes ``docs/results/size.csv``, the second draws ``docs/_static/size.svg`` from it. Each
point is measured in processes of its own, with one thread. All of it takes about a quarter of an
hour and, in a temporary folder, 0.8 GB of disk. ``size_study.py classes tasks`` measures only these
studies, and keeps the other rows of the file.
"""

from __future__ import annotations

import csv
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from metaloss.bench.cases import Case
from metaloss.bench.meters import interleaved_times, memory, peak_resident
from metaloss.bench.methods import maker
from metaloss.bench.trial import Iteration, start
from metaloss.conditioners import Margin
from metaloss.experiments import Adjusted, MetaTraining, RunFolder, RunSettings
from metaloss.losses import GCE
from metaloss.models import MLP, resnet8
from metaloss.processes import rank, world_size
from metaloss.tasks import array_files, classification_task, digits, noise, noise_grid
from metaloss.training import Recipe, TaskSampler

RESULTS = Path(__file__).parents[1] / "results" / "size.csv"
BATCH, REPEATS, MIB = 100, 9, 2**20
CE, BACK = "CE step", "lookback"
STUDIES: dict[str, tuple[int, ...]] = {
    "samples": (10_000, 100_000, 1_000_000),
    "classes": (10, 100, 1_000, 20_000),
    "resnet8-classes": (10, 1_000),
    "parameters": (20_000, 200_000, 2_000_000, 20_000_000),
    "steps": (1, 2, 5, 10, 20),
    "tasks": (1, 2, 6, 18),
    "processes": (1, 2, 4),
}
PARTS = {
    "samples": [""],
    "tasks": [""],
    "steps": ["times", CE, BACK, "unroll"],
    "resnet8-classes": ["times"],
}
# Large tensors are mapped one by one, so that a peak does not count what glibc keeps for reuse.
MAPPED = {"MALLOC_MMAP_THRESHOLD_": "200000"}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
Figures = dict[str, float]


def joint(model: nn.Module) -> nn.Module:
    """Return the network, wrapped where several processes train it."""
    return DistributedDataParallel(model) if dist.is_initialized() else model


def joint_resnet8(classes: int) -> nn.Module:
    """Return a ResNet-8, wrapped where several processes train it."""
    return joint(resnet8(classes))


def case_of(study: str, value: int) -> Case:
    """Return the network of a point."""
    if study in {"steps", "processes", "resnet8-classes"}:
        classes = value if study == "resnet8-classes" else 10
        make = partial(joint_resnet8, classes)
        return Case(make, make, (3, 32, 32), classes=classes)
    if study == "classes":
        return Case(lambda: MLP(64, value, (256,)), lambda: MLP(64, 2), (64,), classes=value)
    width = round((value / 2) ** 0.5)
    return Case(lambda: MLP(width, 10, (width, width)), lambda: MLP(4, 10), (width,))


def own_batch() -> int:
    """Return this process's part of a batch."""
    return BATCH // world_size()


def times(study: str, value: int) -> Figures:
    """Time a step of cross entropy, one of the adjusted loss, and a meta iteration, in turns."""
    steps = value if study == "steps" else 1
    names = (CE, "plain, adjusted", BACK)
    made = {name: maker(name)(start(case_of(study, value), steps, own_batch())) for name in names}
    taken = interleaved_times(made, REPEATS, "cpu")
    plain = statistics.median(taken[CE])
    found = {"ms of a CE step": 1e3 * plain}
    for name in names[1:]:
        found[f"{name}, in CE steps"] = statistics.median(taken[name]) / plain
    return found


def peak(study: str, value: int, name: str) -> Figures:
    """Measure the memory of an iteration in this process, which does nothing else."""
    steps, case = value if study == "steps" else 1, case_of(study, value)
    tiny = Case(lambda: joint(MLP(4, 2)), lambda: joint(MLP(4, 2)), (4,), classes=2)

    def make(case: Case) -> Iteration:
        return maker(name)(start(case, steps, own_batch()))

    used = memory(partial(make, tiny), partial(make, case), "cpu")
    return {f"{name}, MiB": (used.peak - used.before) / MIB}


def samples(count: int) -> Figures:
    """Open a file of images, add instance noise, and read batches in a random order."""
    with tempfile.TemporaryDirectory() as place:
        images = np.lib.format.open_memmap(f"{place}/x.npy", "w+", np.uint8, (count, 16, 16, 3))
        draw = np.random.default_rng(0)
        for begin in range(0, count, 10_000):
            images[begin : begin + 10_000] = draw.integers(0, 256, (10_000, 16, 16, 3), np.uint8)
        images.flush()
        del images
        np.save(f"{place}/y.npy", np.arange(count) % 10)
        before, began = in_use(), time.perf_counter()
        source = array_files(train=(f"{place}/x.npy", f"{place}/y.npy"), labels_checked=True)
        task = classification_task(
            data=source,
            noise=partial(noise.instance_dependent, rate=0.4),
            num_meta=1000,
            num_test=1000,
        )
        ready = time.perf_counter()
        batches = sum(1 for _ in islice(task.train.epoch(0), 90))
        done = time.perf_counter()
        return {
            "s to begin": ready - began,
            "ms to read a batch": 1e3 * (done - ready) / batches,
            "MiB in use": in_use() - before,
            "MiB of the file": count * 16 * 16 * 3 / MIB,
        }


def in_use() -> float:
    """Return the memory of this process without the pages of files, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+)", status)
    assert found is not None
    return int(found.group(1)) / 1024


def tasks(count: int) -> Figures:
    """Meta-train on this many tasks at once, each with a network of its own."""
    noises = {f"symmetric {i}": noise.symmetric for i in range(count)}
    clean = partial(classification_task, data=digits, num_meta=100, num_test=360, batch_size=100)
    training = MetaTraining(
        tasks=noise_grid(task=clean, noises=noises, rates=(0.4,)),
        methods=[Adjusted(name="A-GCE", loss=GCE(), conditioner=Margin())],
        recipe=Recipe(epochs=2, meta_every=1, evaluate_last=1),
        model=partial(resnet8, 10, in_channels=1),
        sampler=TaskSampler(tasks_per_step=count),
        settings=RunSettings(threads=1, last=1),
    )
    steps = 2 * (1337 // 100)  # of each task
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        training.run(RunFolder(Path(place) / "run"))
        taken = time.perf_counter() - began
    return {"ms of a step of one task": 1e3 * taken / steps / count, "MiB": peak_resident() / MIB}


def point(study: str, value: int, name: str) -> Figures:
    """Measure a point, or a part of it, in this process."""
    torch.set_num_threads(1)
    if "RANK" in os.environ:  # of a process that torchrun started
        dist.init_process_group("gloo")
    if study in {"samples", "tasks"}:
        return {"samples": samples, "tasks": tasks}[study](value)
    return times(study, value) if name == "times" else peak(study, value, name)


def measure(studies: list[str]) -> None:
    """Measure the points of some studies in processes of their own, and write them."""
    kept = list(csv.DictReader(RESULTS.open())) if RESULTS.exists() else []
    rows = [row for row in kept if row["study"] not in studies]
    for study in studies:
        parts = PARTS.get(study, ["times", CE, BACK])
        for value in STUDIES[study]:
            for part in parts:
                words = [sys.executable]
                if study == "processes" and value > 1:
                    words += ["-m", "torch.distributed.run", "--standalone"]
                    words += ["--nproc-per-node", str(value)]
                words += [__file__, "point", study, str(value), part]
                env = os.environ | ONE_THREAD | ({} if part in {"times", ""} else MAPPED)
                said = subprocess.check_output(words, text=True, env=env)
                found = json.loads(said.splitlines()[-1])
                print(study, value, found, flush=True)
                rows += [
                    {"study": study, "value": value, "figure": name, "measured": f"{x:.4g}"}
                    for name, x in found.items()
                ]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["study", "value", "figure", "measured"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Measure some studies or all, or one point in this process."""
    match sys.argv[1:]:
        case ["point", study, value, name]:
            found = point(study, int(value), name)
            if rank() == 0:
                print(json.dumps(found))
        case studies if set(studies) <= set(STUDIES):
            measure(studies or list(STUDIES))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
