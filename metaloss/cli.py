"""The command line."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from metaloss.checks import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn the hyperparameters of a loss, one value per sample, through the training step.",
)

DEMO = "experiments/demo.gin"

Out = Annotated[
    Path | None,
    typer.Option(help="A new folder for the results.", show_default="runs/NAME-TIME"),
]
Files = Annotated[
    list[str] | None,
    typer.Option("--gin_file", help="Another gin file to read after it. Repeatable."),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--gin_param", help="A binding, such as 'EPOCHS = 3'. Repeatable."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on in the folder of a run that was stopped.")
]


@app.command()
def demo(out: Out = None, gin_param: Params = None) -> None:
    """Train on digits with 40% wrong labels: cross entropy, GCE, adjusted GCE and PolySoft."""
    _experiment(DEMO, out or _stamped("demo"), [], gin_param or [], resume=False)


@app.command()
def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG.gin", help="A path, or a file of the package's.")
    ],
    out: Out = None,
    gin_file: Files = None,
    gin_param: Params = None,
    resume: Resume = False,
) -> None:
    """Run the experiment of a gin file: every method and seed, and the table they make."""
    place = out or _stamped(Path(config).stem)
    _experiment(config, place, gin_file or [], gin_param or [], resume)


def _experiment(
    config: str, out: Path, files: Sequence[str], bindings: Sequence[str], resume: bool
) -> None:
    from metaloss.config import configuration
    from metaloss.console import observer, results_table
    from metaloss.training import Experiment, RunFolder
    from metaloss.training.speed import keep_freed_memory

    keep_freed_memory()
    console = Console()
    folder = RunFolder(out, resume)
    with configuration([config, *files], bindings) as parsed:
        experiment = parsed.build(Experiment)
        if resume:
            _check_same(folder, parsed.text)
        with observer(console) as watching:
            rows = experiment.run(folder, watching, {"config.gin": parsed.text})
        folder.write("operative.gin", parsed.operative)
    console.print(results_table(rows, min(experiment.last, experiment.recipe.epochs)))
    for picture in draw(experiment, folder):
        console.print(f"picture: {picture}", soft_wrap=True, highlight=False)
    console.print(f"results: {folder.path / 'results.json'}", soft_wrap=True, highlight=False)


def draw(experiment: Any, folder: Any) -> list[Path]:
    """Draw what the first seed's adjusters learned; the pictures made."""
    from metaloss.diagnostics import Learned, draw_learned
    from metaloss.pretrained import load_adjuster
    from metaloss.pretrained.spec import parts

    learned = []
    for method in experiment.methods:
        run = folder.run(method.name, experiment.seeds[0])
        if run.adjuster.is_dir():
            own = [*parts(method.loss), *parts(method.conditioner), method.adjuster]
            criterion = load_adjuster(run.adjuster, filter(inspect.isclass, own))
            learned.append(Learned(method.name, criterion, run.read_tensors("samples")))
    if not learned:
        return []
    path = folder.path / "hyperparameters.png"
    draw_learned(learned, path)
    return [path]


def _check_same(folder: Any, text: str) -> None:
    if (folder.path / "config.gin").read_text() != text:
        raise InputError(
            f"{folder.path}: expected the configuration that the run was started with "
            "(its config.gin), got another"
        )


def _stamped(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _one_line(message: str) -> str:
    """A message as one line; gin adds some that say in which call, with addresses in memory."""
    return " ".join(re.sub(r" \(<.*?>\)", ";", message).split()).rstrip(";")


def main() -> None:
    """Run the command line; what cannot be used ends in one line and exit code 2."""
    try:
        app()
    except InputError as error:
        Console(stderr=True).print(
            Text.assemble(("error: ", "bold red"), _one_line(str(error))), soft_wrap=True
        )
        sys.exit(2)
