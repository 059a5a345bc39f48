"""The adjusters that rows of a table carry over: learned before the runs that use them."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from metaloss.checks import InputError
from metaloss.config import configuration
from metaloss.console import observer
from metaloss.files import user_path
from metaloss.reproduce.published_table import PublishedTable
from metaloss.sweeps import OnRay
from metaloss.sweeps.carry_out import executor
from metaloss.sweeps.jobs import Job, placed
from metaloss.sweeps.local import attempt, when_free
from metaloss.sweeps.sweep import Outcome
from metaloss.user_errors import one_line


def adjusters_folder(table: PublishedTable, out: Path) -> str:
    """Return the folder of the meta-training that a table's adjusters come from.

    Args:
        table: the table.
        out: the folder of the reproduction.
    """
    return str((user_path(out) / Path(table.adjusters).stem).resolve())


def learn(
    table: PublishedTable,
    folder: str,
    user: Job,
    *,
    places: Mapping[str, str],
    bindings: Sequence[str],
    ray: OnRay | None,
) -> Outcome:
    """Make the meta-training that a table's adjusters come from, or what is left of it.

    Args:
        table: the table.
        folder: the folder of the meta-training.
        user: a run that uses the adjusters; its data is looked for before they are learned.
        places: the texts that words in braces in the bindings stand for.
        bindings: the bindings of the table's runs. Those of their data mean nothing here.
        ray: the cluster that makes it; by default, this process does.
    """
    job = Job(f"adjusters of {table.table}", "", folder)
    try:
        own = [placed(binding, places) for binding in table.adjuster_bindings]
        with configuration([table.adjusters], own, where_used=bindings) as parsed:
            job = replace(job, text=parsed.text)
    except InputError as error:
        return Outcome(job, one_line(str(error)), traceback.format_exc())
    try:
        user.check_data()
    except InputError as error:
        said = one_line(str(error))
        return Outcome(job, f"not learned, as they would be of no use: {said}", said)
    if ray is not None:
        with executor(ray, 1) as execute:
            (outcome,) = execute([job])
        return outcome
    with observer(Console(stderr=True)) as watching:
        outcome = attempt(job, watching)
        if outcome.in_use:
            watching.warn(f"{job.name}: another process learns them")
            outcome = when_free(job, watching)
    return outcome
