"""The commands that measure and check meta steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from metaloss.cli.options import Config, Params


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
    from metaloss.files import check_file_place, user_path

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
        check_file_place("json", user_path(json_file))
    progress = Console(stderr=True)
    results = measure(settings, lambda line: progress.print(line, markup=False, highlight=False))
    Console().print(report(results))
    if json_file is not None:
        results.write(json_file)


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
