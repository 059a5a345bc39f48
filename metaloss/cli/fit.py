"""The command that trains on one's own data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from metaloss.cli.options import Params, Resume, Tensorboard, run_folder


def fit(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with a folder of images for each class, perhaps inside train and test; "
            "a CSV file with the columns path and label, or with numbers and label; an .npz file "
            "with x and y; or a folder that the library datasets saved.",
        ),
    ],
    *,
    clean: Annotated[
        Path | None,
        typer.Option(
            help="Samples with checked labels: a list of names (.txt), a CSV of names and labels, "
            "a labels.csv with its column checked_label, or a place of further samples.",
            show_default="none",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            help="Test samples with checked labels.", show_default="those of DATA, or held-out ones"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for the results.", show_default="runs/fit-TIME"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="resnet8, resnet20, resnet32, resnet34, small_cnn, mlp or a classifier of "
            "torchvision, such as resnet18.",
            show_default="by the data",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Pretrained weights: DEFAULT, which torchvision downloads once, or a file.",
            show_default="none",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Height and width of images.", show_default="by the data")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training samples.", show_default="by the data"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples in a batch.", show_default="by the data")
    ] = None,
    meta_every: Annotated[
        int | None,
        typer.Option(
            help="Training steps from one meta step to the next.", show_default="by the data"
        ),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            help="Samples held out for the figures, without --test.", show_default="by the data"
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip",
            help="Mirror images at random in training.",
            show_default="if they have colour",
        ),
    ] = None,
    label: Annotated[str, typer.Option(help="The column of labels.")] = "label",
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Train with cross entropy beside.")
    ] = False,
    seed: Annotated[
        list[int] | None, typer.Option(help="A seed. Repeatable.", show_default="0")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="A device.", show_default="a GPU if there is one")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at an image that cannot be read.")
    ] = False,
    gin_param: Params = None,
    resume: Resume = False,
    tensorboard: Tensorboard = False,
) -> None:
    """Train a classifier on data with doubtful labels, and rank the labels by how doubtful.

    With --clean, the loss learns from these samples which labels to trust. Without, it takes
    what was learned on other data. Writes the network, report.html, labels.csv and config.gin,
    which `metaloss train` runs again.
    """
    from metaloss.fitting.choices import Options
    from metaloss.fitting.fit_data import Places, Settings, fit_data
    from metaloss.stopping import resumable

    folder = run_folder("fit", out, resume=resume)
    options = Options(
        model=model,
        weights=weights,
        size=size,
        epochs=epochs,
        batch_size=batch_size,
        meta_every=meta_every,
        held_out=held_out,
        flip=flip,
    )
    settings = Settings(
        baseline=baseline,
        seeds=tuple(seed or (0,)),
        device=device,
        strict=strict,
        tensorboard=tensorboard,
        bindings=tuple(gin_param or ()),
    )
    with resumable(folder, sys.argv[1:]):
        fit_data(Places(data=data, clean=clean, test=test, label=label), options, settings, folder)
