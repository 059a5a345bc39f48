"""An experiment of two processes, of which one is killed at a moment: PLACE [RANK MOMENT].

Each process prints its rank and the number of its moments, if it is not killed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from metaloss.experiments import RunFolder
from metaloss.experiments.run_folder import holds_run
from metaloss.processes import rank
from tests.helpers.kills import Moments
from tests.processes.blob_experiment import experiment


def main(place: Path, of: int | None = None, moment: int | None = None) -> None:
    """Run, or go on with what is there."""
    given = experiment(2)
    given = replace(given, settings=replace(given.settings, keep_checkpoints=3))
    folder = RunFolder(place, resume=holds_run(place))
    given.settings.engine.launch()
    moments = Moments(moment if rank() == of else None)
    moments.watch_all()
    given.run(folder)
    moments.kill = None
    sys.stdout.write(f"{rank()} {len(moments.names)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
