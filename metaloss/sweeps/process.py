"""A job in processes of its own: ``python -m metaloss.sweeps.process JOB.json``.

Fabric starts this program again for each further process of the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaloss.checks import InputError
from metaloss.experiments.records.folder_lock import FolderInUseError
from metaloss.user_errors import one_line

# What Fabric and torchrun tell the processes of a run; a run of its own must not read it.
_OTHERS = ("LOCAL_RANK", "RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_FAILED, _IN_USE = 2, 3  # the codes that the program ends with


def run_in_processes(job: Mapping[str, Any]) -> None:
    """Make a run in a program of its own.

    Raises:
        FolderInUseError: another process is making the run.
        InputError: the run failed; the message is its last line, the cause has all that it wrote.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _OTHERS}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "job.json"
        path.write_text(json.dumps(job))
        command = [sys.executable, "-m", "metaloss.sweeps.process", str(path)]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or [f"it ended with code {ended.returncode}"]
        kind = FolderInUseError if ended.returncode == _IN_USE else InputError
        raise kind(one_line(said[-1])) from RuntimeError(f"in its process\n{ended.stderr}")


def main() -> None:
    """Make the run of the file that the command names."""
    from metaloss.processes import says
    from metaloss.sweeps.jobs import Job

    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    try:
        job.make()
    except (InputError, OSError) as error:
        if says(error):
            sys.stderr.write(f"{traceback.format_exc()}\n{one_line(str(error))}\n")
        sys.exit(_IN_USE if isinstance(error, FolderInUseError) else _FAILED)


if __name__ == "__main__":
    main()
