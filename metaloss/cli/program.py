"""The command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from metaloss import __version__
from metaloss.checks import InputError
from metaloss.cli.fit import fit
from metaloss.cli.labels import labels
from metaloss.cli.measures import bench, check_grad
from metaloss.cli.options import (
    Config,
    Devices,
    Files,
    Out,
    Params,
    Precision,
    Resume,
    Tensorboard,
    run_folder,
)
from metaloss.cli.predict import predict
from metaloss.cli.show import adjusters, report
from metaloss.cli.sweeps import reproduce, sweep
from metaloss.files import user_path
from metaloss.user_errors import one_line

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train classifiers on data with wrong labels, and find these labels.\n\n"
    "The loss learns its hyperparameters, with values for each sample, by differentiating through "
    "the training step.",
)
DATA, EXPERIMENTS, GRIDS = "Your data", "Experiments", "Grids, the paper and checks"
for _panel, _commands in {
    DATA: (fit, predict, labels),
    EXPERIMENTS: (report, adjusters),
    GRIDS: (sweep, reproduce, bench, check_grad),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)

DEMO = "experiments/demo.gin"
DEMO_NO_CLEAN = "experiments/demo_no_clean.gin"
FABRIC = "engines/fabric.gin"
TRANSFERRED = "adjusters/transferred.gin"


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"metaloss {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=EXPERIMENTS)
def demo(
    *,
    no_clean: Annotated[bool, typer.Option("--no-clean", help="Without clean samples.")] = False,
    out: Out = None,
    gin_param: Params = None,
    resume: Resume = False,
) -> None:
    """Train on digits with 40% wrong labels: cross entropy, GCE, and two adjusted losses."""
    config = DEMO_NO_CLEAN if no_clean else DEMO
    _run(config, "demo", out, bindings=gin_param or [], resume=resume)


@app.command(rich_help_panel=EXPERIMENTS)
def train(
    config: Config,
    *,
    out: Out = None,
    gin_file: Files = None,
    gin_param: Params = None,
    resume: Resume = False,
    tensorboard: Tensorboard = False,
    devices: Devices = None,
    precision: Precision = None,
) -> None:
    """Run the experiment of a gin file: every method and seed, and the table they make."""
    files, bindings, name = gin_file or [], gin_param or [], Path(config).stem
    if precision is not None:
        files, bindings = [*files, FABRIC], [*bindings, f"PRECISION = {precision!r}"]
    _run(
        config,
        name,
        out,
        files=files,
        bindings=bindings,
        resume=resume,
        tensorboard=tensorboard,
        devices=devices,
    )


@app.command(rich_help_panel=EXPERIMENTS)
def transfer(
    config: Config,
    adjuster: Annotated[
        list[str],
        typer.Option(help="A name (metaloss adjusters) or a folder. Repeatable."),
    ],
    *,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Also run cross entropy, and the losses with default hyperparameters."
        ),
    ] = False,
    strength: Annotated[
        float,
        typer.Option(help="Factor that scales the adjusters' distance from the defaults."),
    ] = 1.0,
    out: Out = None,
    gin_file: Files = None,
    gin_param: Params = None,
    resume: Resume = False,
) -> None:
    """Train on a gin file's task with frozen learned adjusters: no clean samples, no search."""
    # Absolute paths: the folder's config.gin may be read from anywhere.
    chosen = [str(user_path(a).resolve()) if a and user_path(a).is_dir() else a for a in adjuster]
    said = [f"ADJUSTERS = {chosen!r}", f"COMPARE = {compare}", f"STRENGTH = {strength!r}"]
    files = [TRANSFERRED, *(gin_file or [])]
    bindings = [*said, *(gin_param or [])]
    name = f"transfer-{Path(config).stem}"
    _run(config, name, out, files=files, bindings=bindings, resume=resume)


def _run(
    config: str,
    name: str,
    out: Path | None,
    *,
    files: Sequence[str] = (),
    bindings: Sequence[str],
    resume: bool,
    tensorboard: bool = False,
    devices: int | None = None,
) -> None:
    from metaloss.runner import run
    from metaloss.stopping import resumable

    folder = run_folder(name, out, resume=resume)
    with resumable(folder, sys.argv[1:]):
        run(config, folder, files, bindings, tensorboard=tensorboard, devices=devices)


def main() -> None:
    """Run the command line. Errors of the user end in one line and exit code 2."""
    from metaloss.stopping import Stopped

    try:
        app(prog_name="metaloss")
    except Stopped as stopped:
        from metaloss.console import say

        say(str(stopped), Console(stderr=True))
        sys.exit(stopped.code)
    except (InputError, OSError) as error:
        from metaloss.processes import says

        if says(error):
            Console(stderr=True).print(
                Text.assemble(("error: ", "bold red"), one_line(_said(error))), soft_wrap=True
            )
        sys.exit(2)


def _said(error: Exception) -> str:
    """Return an error's message; for an error of the operating system the file and the reason."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
