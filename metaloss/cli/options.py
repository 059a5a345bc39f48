"""The arguments and options that several commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaloss.checks import require

if TYPE_CHECKING:
    from metaloss.experiments import RunFolder

Config = Annotated[
    str,
    typer.Argument(metavar="CONFIG.gin", help="A path, or the name of a file of the package."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="A new folder for the results.", show_default="runs/NAME-TIME"),
]
Files = Annotated[
    list[str] | None,
    typer.Option("--gin_file", help="Another gin file, read after CONFIG.gin. Repeatable."),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--gin_param", help="A binding, such as 'EPOCHS = 3'. Repeatable."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume the run in the folder --out.")]
Devices = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that train together.", show_default="1"),
]
Precision = Annotated[
    str | None,
    typer.Option(help="32-true, bf16-mixed or 16-mixed.", show_default="32-true"),
]
Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write the metrics for TensorBoard.")
]


def run_folder(name: str, out: Path | None, *, resume: bool) -> RunFolder:
    """Return the folder of a run: the one given, or a new one named after the run and the time.

    Raises:
        InputError: a run is to be resumed, and no folder is given.
    """
    from metaloss.experiments import RunFolder

    require(
        not resume or out is not None, "--resume: expected --out with the run's folder, got none"
    )
    if out is not None:
        return RunFolder(out, resume)
    return RunFolder(Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}", find_free=True)
