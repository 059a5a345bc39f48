"""The commands that run grids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaloss.checks import require
from metaloss.cli.options import Params

if TYPE_CHECKING:
    from metaloss.sweeps import OnRay

GOES_ON = "the same command goes on"
RETRIES = 2

Only = Annotated[
    list[str] | None,
    typer.Option(
        help="AXIS=PATTERN, such as 'method=A-*', seed=0 or, for a table of the paper, "
        "data=CIFAR-10: the runs to make. Repeatable.",
        show_default="all",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        help="Run several at once with Ray: 'local', 'auto' or a cluster's address.",
        show_default="one after another",
    ),
]
Cpus = Annotated[float, typer.Option(help="With --ray: CPU cores for each run.")]
Gpus = Annotated[float, typer.Option(help="With --ray: GPUs for each run, such as 0.25.")]
Retries = Annotated[
    int, typer.Option(help="With --ray: how often to start a run again whose worker died.")
]


def sweep(
    grid: Annotated[
        str,
        typer.Argument(metavar="GRID.gin", help="A path, or the name of a file of the package."),
    ],
    *,
    out: Annotated[
        Path, typer.Option(help="The folder for the results, new or that of this sweep.")
    ],
    only: Only = None,
    gin_param: Params = None,
    ray: Ray = None,
    cpus: Cpus = 1,
    gpus: Gpus = 0,
    retries: Retries = RETRIES,
) -> None:
    """Run a grid of gin files and bindings, and write the table. Finished runs are kept."""
    from metaloss.config import configuration
    from metaloss.stopping import stoppable
    from metaloss.sweeps import Grid, Sweep
    from metaloss.sweeps.carry_out import carry_out, parsed_only

    with configuration([grid]) as parsed:
        require(
            parsed.binds(Grid, "axes"),
            f"{grid}: expected the file of a grid of runs, which binds sweeps.Grid.axes, got none; "
            "metaloss train runs that of an experiment",
        )
        built = parsed.build(Grid)
    made = Sweep(built, out, gin_param or [], parsed_only(only or []))
    cluster = _cluster(ray, cpus, gpus, retries)
    with stoppable(lambda: GOES_ON):
        failed = carry_out(made, cluster)
    if failed:
        raise typer.Exit(1)


def reproduce(
    target: Annotated[
        str,
        typer.Argument(help="table1 to table5, figure1, 2, 3, 7 to 10, theorems or all."),
    ],
    *,
    scale: Annotated[
        str,
        typer.Option(help="smoke (minutes, embedded data), laptop (hours) or paper (a GPU)."),
    ] = "smoke",
    data: Annotated[
        Path | None, typer.Option(help="The folder that holds the data sets as published.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the results, new or that of an earlier call.",
            show_default="reproduction-SCALE",
        ),
    ] = None,
    only: Only = None,
    gin_param: Params = None,
    ray: Ray = None,
    cpus: Cpus = 1,
    gpus: Gpus = 0,
    retries: Retries = RETRIES,
) -> None:
    """Reproduce a table, a figure or the theorems of the paper, beside its own numbers."""
    from metaloss.reproduce.reproduction import Reproduction
    from metaloss.stopping import stoppable
    from metaloss.sweeps.carry_out import parsed_only

    reproduction = Reproduction(
        scale=scale,
        out=out or Path(f"reproduction-{scale}"),
        data=data,
        bindings=gin_param or [],
        only=parsed_only(only or []),
        ray=_cluster(ray, cpus, gpus, retries),
    )
    with stoppable(lambda: GOES_ON):
        done = reproduction.run(target)
    if not done:
        raise typer.Exit(1)


def _cluster(address: str | None, cpus: float, gpus: float, retries: int) -> OnRay | None:
    """Return the cluster that the options describe, if one is asked for."""
    from metaloss.sweeps import OnRay

    if address is None:
        given = {"cpus": cpus != 1, "gpus": gpus != 0, "retries": retries != RETRIES}
        alone = [f"--{name}" for name, changed in given.items() if changed]
        require(not alone, f"{', '.join(alone)}: expected --ray as well, got none")
        return None
    return OnRay(address=address, cpus=cpus, gpus=gpus, retries=retries)
