"""Make changes at random places, one after the other, and name those that no test notices.

``pip install cosmic-ray==8.7.0``, then ``python -m tests.mutation SESSION.sqlite NUMBER`` in a
clean clone that nothing else uses: it changes the files there, and puts them back. A run that was
stopped goes on where it was. 240 changes take about two hours on a core.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.mutation.nearest import ALL, run

CHANGED = ["metaloss/losses", "metaloss/conditioners", "metaloss/bilevel", "tasks/noise.py"]
CONFIG = f"""
[cosmic-ray]
module-path = {json.dumps(CHANGED)}
timeout = 400.0
excluded-modules = []
test-command = "python -m tests.mutation.nearest"
[cosmic-ray.distributor]
name = "local"
"""
TABLES = ("mutation_specs", "work_results", "work_items")


def keep(session: Path, number: int) -> None:
    """Keep one change of each place and kind, and of these as many as are asked for."""
    with closing(sqlite3.connect(session)) as base:
        found = base.execute(
            "select module_path, start_pos_row, start_pos_col, operator_name, job_id"
            " from mutation_specs order by 1, 4, 2, 3, end_pos_row, end_pos_col, occurrence"
        ).fetchall()
        places: dict[tuple[str, int, int, str], list[str]] = {}
        for path, row, column, operator, job in found:
            if "BinaryOperator_BitOr" not in operator:  # annotations, which nothing evaluates
                places.setdefault((path, row, column, operator.split("_")[0]), []).append(job)
        draw = random.Random(0)
        chosen = [draw.choice(jobs) for _, jobs in sorted(places.items())]
        draw.shuffle(chosen)
        kept = chosen[:number]
        for table in TABLES:
            marks = ", ".join("?" * len(kept))
            base.execute(f"delete from {table} where job_id not in ({marks})", kept)
        base.commit()
    sys.stdout.write(f"{number} changes of {len(found)}, from {len(places)} places\n")


def report(session: Path) -> None:
    """Print how many changes a test noticed, and the others."""
    with closing(sqlite3.connect(session)) as base:
        found = base.execute(
            "select test_outcome, diff from work_results order by test_outcome"
        ).fetchall()
    noticed = sum(outcome.endswith("KILLED") for outcome, _ in found)
    for outcome, diff in found:
        if not outcome.endswith("KILLED"):
            sys.stdout.write(f"\n{diff}\n")
    sys.stdout.write(f"noticed: {noticed} of {len(found)}\n")


def main(session: Path, number: int) -> None:
    """Make the changes of a session, a new one or one that was begun."""
    # If it were not so, every change would seem to be noticed.
    if subprocess.run(["git", "diff", "--quiet"], check=False).returncode != 0:
        sys.exit("expected a clone without changes")
    if run(ALL.values()) != 0:
        sys.exit("expected tests that pass before anything is changed")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(CONFIG)
        config.flush()
        if not session.exists():
            subprocess.run(["cosmic-ray", "init", config.name, session], check=True)
            keep(session, number)
        subprocess.run(["cosmic-ray", "exec", config.name, session], check=True)
    report(session)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
