"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
