"""The command that predicts data by the network of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The folder of a run, of `metaloss fit` or `metaloss train`."
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="An image, a folder of images, a CSV file with a column `path`, or arrays in a "
            "file .npy or .npz.",
        ),
    ],
    *,
    method: Annotated[
        str | None,
        typer.Option(help="Whose network to use.", show_default="the first with an adjuster"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of which seed.", show_default="the first")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Of which task, if there are several.", show_default="first")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the CSV to this file.", show_default="standard output"
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(help="Samples that are read and predicted at a time.")
    ] = 100,
    device: Annotated[
        str | None, typer.Option(help="A device, such as cuda.", show_default="a GPU if any")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first sample that cannot be read.")
    ] = False,
) -> None:
    """Predict images or arrays by the network of a finished run of classification.

    The data that the run was trained on are not needed. Writes CSV: the path or the number of the
    sample, the label, its probability, and the probability of each class. Images that cannot be
    read are named on standard error and skipped.
    """
    from metaloss.experiments.records.finished import Choice
    from metaloss.predict.predict_to import predict_to

    chosen = Choice(method, seed, task)
    predict_to(run, data, chosen, out=out, batch_size=batch_size, device=device, strict=strict)
