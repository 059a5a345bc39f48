"""The command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from metaloss import __version__
from metaloss.checks import InputError, require
from metaloss.cli.fit import fit
from metaloss.cli.labels import labels
from metaloss.cli.options import (
    Config,
    Devices,
    Files,
    Out,
    Params,
    Precision,
    Resume,
    Tensorboard,
)
from metaloss.cli.predict import predict
from metaloss.cli.show import adjusters, report
from metaloss.cli.sweeps import reproduce, sweep
from metaloss.complaints import one_line
from metaloss.files import user_path

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Learn the hyperparameters of a loss, one value per sample, through the training step.",
)
for _command in (fit, predict, labels, report, sweep, reproduce, adjusters):
    app.command()(_command)

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


@app.command()
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


@app.command()
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


@app.command()
def bench(
    *,
    case: Annotated[
        list[str] | None,
        typer.Option(
            help="A network: resnet32, mlp or transformer. Repeatable.",
            show_default="all",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="A strategy or a library. Repeatable.", show_default="all"),
    ] = None,
    steps: Annotated[
        list[int] | None,
        typer.Option(help="Steps to differentiate. Repeatable.", show_default="1 and 5"),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Samples in a batch.", show_default="100")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(help="How often to time each.", show_default="11")
    ] = None,
    device: Annotated[str, typer.Option(help="A device, such as cuda.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(help="torch's number of threads.", show_default="torch's own")
    ] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Use the channels-last memory format.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use small networks, to see that everything works.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all measurements to this file."),
    ] = None,
) -> None:
    """Measure time and memory of a meta iteration: our strategies and other libraries."""
    from metaloss.bench import Settings, measure
    from metaloss.bench.report import report
    from metaloss.bench.results import check_place

    settings = Settings.given(
        cases=case,
        methods=method,
        steps=steps,
        batch=batch,
        repeats=repeats,
        device=device,
        threads=threads,
        channels_last=channels_last,
        quick=quick,
    )
    if json_file is not None:
        check_place(json_file)
    progress = Console(stderr=True)
    results = measure(settings, lambda line: progress.print(line, markup=False, highlight=False))
    Console().print(report(results))
    if json_file is not None:
        results.write(json_file)


@app.command()
def check_grad(
    config: Config,
    *,
    gin_param: Params = None,
    method: Annotated[
        str | None, typer.Option(help="The name of one method.", show_default="all that learn")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="The name of one task, if there are several.", show_default="the first"),
    ] = None,
    batch: Annotated[int, typer.Option(help="Samples used of each batch.")] = 16,
    steps_before: Annotated[
        int, typer.Option(help="Real steps to make first, so that the optimizer has a state.")
    ] = 3,
    directions: Annotated[int, typer.Option(help="Number of directions to train for real in.")] = 3,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the reports to this file.")
    ] = None,
) -> None:
    """Compare the hypergradients of the strategies with one another and with real training.

    Where they differ, name the layer. Exit code 0 if they agree, 1 if not.
    """
    from metaloss.config import configuration
    from metaloss.diagnostics.gradients.check import check_experiment
    from metaloss.diagnostics.gradients.report import Document
    from metaloss.diagnostics.gradients.show import show
    from metaloss.diagnostics.gradients.subject import Size
    from metaloss.runner import one_task

    document = Document(json_file, config=config)
    size = Size.parsed(batch=batch, steps_before=steps_before, dtype=dtype)
    with configuration([config], gin_param or []) as parsed:
        experiment = one_task(parsed, task)
        for name, report in check_experiment(experiment, size, method, directions):
            show(Console(), name, report)
            document.add(name, report)
    document.write()
    if not document.holds:
        raise typer.Exit(1)


@app.command()
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
    from metaloss.experiments import RunFolder
    from metaloss.runner import run
    from metaloss.stopping import resumable

    if out is None:
        require(not resume, "--resume: expected --out with the run's folder, got none")
        stamped = Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
        folder = RunFolder(stamped, find_free=True)
    else:
        folder = RunFolder(out, resume)
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
