"""The command that looks for wrong labels."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer


def labels(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The folder of a run, of `metaloss fit` or `metaloss train`."
        ),
    ],
    *,
    method: Annotated[
        str | None,
        typer.Option(help="Whose network to ask.", show_default="the first with an adjuster"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of which seed.", show_default="the first")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="On which task, if there are several.", show_default="first")
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Rank by combined, area-under-margin, normalized-margin, self-confidence or "
            "weight.",
            show_default="combined",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write here.", show_default="RUN/labels.csv"),
    ] = None,
    top: Annotated[
        int, typer.Option(help="How many of the most doubtful images to draw; 0 for none.")
    ] = 40,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Train K networks, each without a K-th of the samples, which it then judges.",
            show_default="the run's own network judges all",
        ),
    ] = None,
) -> None:
    """Rank the training samples of a finished run by how likely their labels are wrong.

    Writes labels.csv, the most doubtful first, and labels.png, a contact sheet of images; the
    report in the folder shows the first of them. Prints the estimated noise and, where the wrong
    labels are known, how well each score finds them.
    """
    from metaloss.experiments.records.finished import Choice
    from metaloss.labels.judge_run import judge_run
    from metaloss.stopping import stoppable

    def after() -> str:
        return f"go on with: {shlex.join(['metaloss', *sys.argv[1:]])}"

    with nullcontext() if folds is None else stoppable(after):
        judge_run(run, Choice(method, seed, task), score=score, out=out, top=top, folds=folds)
