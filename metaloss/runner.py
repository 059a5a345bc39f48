"""Run the experiment of a configuration, and show its results."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from metaloss.checks import InputError, require
from metaloss.config import Config, configuration
from metaloss.config.settings import other_setting, same_bindings
from metaloss.console import across_table, observer, results_table, say
from metaloss.console.tensorboard import TensorBoard
from metaloss.diagnostics import Learned, draw_learned
from metaloss.diagnostics.figures.drawing import save
from metaloss.diagnostics.score_files import write_table
from metaloss.experiments import Comparison, Experiment, MetaTraining, RunFolder, transferred
from metaloss.experiments.records.finished import check_no_task, chosen_task, config_of
from metaloss.experiments.tables.score_table import table_of_rows
from metaloss.experiments.warnings.cross_entropy import below_in
from metaloss.machine import keep_freed_memory
from metaloss.pretrained import load_adjuster
from metaloss.processes import alone, check_same_text, rank
from metaloss.report import write_report
from metaloss.report.page import write_or_warn
from metaloss.training import Engine, FabricEngine, Observer
from metaloss.training.fabric_engine import launched_devices
from metaloss.user_errors import as_input_error, one_line


def run(
    config: str,
    folder: RunFolder,
    files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    *,
    tensorboard: bool = False,
    devices: int | None = None,
) -> None:
    """Run a configuration, and print its table and the paths of its results.

    Progress is written to standard error, results to standard output.

    Args:
        config: a gin file, by path or by its name among the package's files.
        folder: the folder to write to.
        files: further gin files, read after it.
        bindings: single bindings, read last.
        tensorboard: whether to write the metrics for TensorBoard, too, in ``tensorboard`` in the
            folder.
        devices: the number of processes that train together; by default those that ``torchrun``
            started, or one.

    Raises:
        InputError: The configuration is invalid, or a run is resumed that was started with another
            one; or another process of the run has ended.
    """
    keep_freed_memory()
    with configuration([config, *files], bindings) as parsed:
        engine = _engine(build(parsed).settings.engine, devices)
        with engine.running(), folder:
            with _watching(folder, tensorboard=tensorboard) as told:
                experiment, rows = run_parsed(parsed, folder, told, engine=engine)
            if rank() == 0:
                with alone():  # the others have ended
                    _show(experiment, folder, rows)


@contextmanager
def configuration_of(folder: Path) -> Iterator[Config]:
    """Yield the configuration of a finished run.

    Raises:
        InputError: there is none in the folder; or it is invalid, such as without a module of the
            user's, and then the message says where that is looked for.
    """
    with ExitStack() as stack:
        try:
            parsed = stack.enter_context(configuration([config_of(folder)]))
        except InputError as error:
            if "No module named" not in str(error):
                raise
            raise InputError(
                f"{one_line(str(error))}: start in the folder of that module, or copy it into "
                f"{folder}"
            ) from None
        yield parsed


def _engine(configured: Engine, devices: int | None) -> Engine:
    """Return the engine of a run, in as many processes as were asked for."""
    devices = devices or launched_devices()
    if devices is None:
        return configured
    if isinstance(configured, FabricEngine):
        return replace(configured, devices=devices)
    return FabricEngine(devices=devices)


@contextmanager
def _watching(folder: RunFolder, *, tensorboard: bool) -> Iterator[Observer]:
    """Yield the observer of a run: that of the first process shows what the others do too."""
    if rank() > 0:
        yield Observer()
        return
    with observer(Console(stderr=True)) as watching:
        yield TensorBoard(folder, watching) if tensorboard else watching


def run_parsed(
    parsed: Config,
    folder: RunFolder,
    observer: Observer | None = None,
    *,
    any_text: bool = False,
    engine: Engine | None = None,
) -> tuple[Any, list[dict[str, Any]]]:
    """Run a configuration that has been parsed.

    Args:
        parsed: the configuration.
        folder: the folder to write to.
        observer: the observer to report progress to.
        any_text: whether a resumed run may have been started with a configuration of another text,
            if it has the same settings.
        engine: what to run it on; the configuration's own if not given.

    Returns:
        The experiment, comparison or meta-training, and the rows of its table.

    Raises:
        InputError: As for :func:`run`.
    """
    experiment = build(parsed)
    check_same_text("configuration", parsed.text)
    if engine is not None:
        experiment = replace(experiment, settings=replace(experiment.settings, engine=engine))
    if folder.resumed:
        if any_text:
            _check_same_settings(folder, parsed.text, type(experiment).__name__)
        else:
            _check_same(folder, parsed.text)
    # It has what was called in this process. A resumed run skips what is finished, so it is taken
    # before the first step: up to there the same is called in every process.
    operative = cache(lambda: parsed.operative)
    # The texts of a run that turns out to be another one are not replaced before it is done.
    documents = {"config.gin": parsed.text, "operative.gin": operative}
    rows = experiment.run(folder, observer, documents)
    folder.write("config.gin", parsed.text)
    folder.write("operative.gin", operative())
    return experiment, rows


def experiment_class(parsed: Config) -> type[Any]:
    """Return the class that a configuration describes, by the tasks that it binds."""
    if parsed.binds(Comparison, "tasks"):
        return Comparison
    if not parsed.binds(MetaTraining, "tasks"):
        return Experiment
    require(
        not parsed.binds(transferred, "adjusters"),
        "expected a file whose task is Experiment.task or whose tasks are Comparison.tasks to put "
        "adjusters on, got one that meta-trains them: MetaTraining.tasks",
    )
    return MetaTraining


def build(parsed: Config) -> Any:
    """Build the experiment, comparison or meta-training that a configuration describes.

    Raises:
        InputError: The configuration is incomplete or invalid.
    """
    cls = experiment_class(parsed)
    require(
        not parsed.binds("Grid", "axes"),
        "expected the file of an experiment, got that of a grid of runs: metaloss sweep GRID.gin, "
        "or metaloss reproduce TARGET for those of the paper",
    )
    require(
        parsed.binds(cls, "methods"),
        f"{cls.__name__}.methods: required, got nothing; include a table of methods, such as "
        "'tables/four_losses.gin', or put learned adjusters on this task: metaloss transfer "
        "CONFIG.gin --adjuster NAME",
    )
    return parsed.build(cls)


def one_task(parsed: Config, name: str | None = None) -> Experiment:
    """Build the experiment of a configuration on one task, by default the first.

    Raises:
        InputError: As for :func:`build`, or there is no such task.
    """
    built = build(parsed)
    if isinstance(built, Experiment):
        check_no_task(name)
        return built
    experiments: dict[str, Experiment] = built.experiments()
    return experiments[chosen_task(experiments, name)]


def _show(experiment: Any, folder: RunFolder, rows: Sequence[Any]) -> None:
    recipe = getattr(experiment, "held_out_recipe", None) or experiment.recipe
    last = min(experiment.settings.last, recipe.epochs)
    console = Console()
    if isinstance(experiment, Experiment):
        console.print(results_table(rows, last))
        for line in below_in(rows):
            say(f"warning: {line}")
        for picture in _draw(experiment, folder):
            say(f"picture: {picture}")
    elif rows:
        console.print(across_table(rows, last))
    if rows:
        write_table(table_of_rows(rows, last), folder.path)
    if isinstance(experiment, MetaTraining):
        for method in experiment.methods:
            place = folder.run(method.name, experiment.settings.seeds[0]).adjuster
            say(f"adjuster: {place}")
    components = [each for method in experiment.methods for each in method.components]
    write_or_warn(lambda: write_report([folder.path], components=components))
    say(f"results: {folder.path}")


def _draw(experiment: Any, folder: RunFolder) -> list[Path]:
    """Plot what the first seed's adjusters learned, and return the files written."""
    learned = []
    for method in experiment.methods:
        records = folder.run(method.name, experiment.settings.seeds[0])
        if records.adjuster.is_dir():
            criterion = load_adjuster(records.adjuster, components=method.components)
            unchecked = bool((records.result() or {}).get("test_unchecked"))
            samples = records.read_tensors("samples")
            learned.append(Learned(method.name, criterion, samples, unchecked))
    if not learned:
        return []
    path = folder.path / "hyperparameters.png"
    save(draw_learned(learned, path), path.with_suffix(".svg"))
    return [path]


def _kept(folder: RunFolder) -> str:
    """Return the configuration that the run in a folder was started with."""
    require(
        (folder.path / "config.gin").is_file(),
        f"{folder.path}: expected a run that was started from a gin file, got one from Python; go "
        "on with it there, by RunFolder(path, resume=True)",
    )
    return folder.read("config.gin")


def _check_same_settings(folder: RunFolder, text: str, root: str) -> None:
    kept = _kept(folder)
    with as_input_error(str(folder.path / "config.gin")):
        differs = other_setting(kept, text, root)
    require(
        differs is None,
        f"{folder.path}: another run was begun here: {differs}; give other settings a folder of "
        f"their own, or delete {folder.path} to run it anew",
    )


def _check_same(folder: RunFolder, text: str) -> None:
    kept = _kept(folder)
    require(
        same_bindings(kept, text),
        f"{folder.path}: expected the configuration that the run was started with (its "
        f"config.gin), got another: {differing(kept, text)}",
    )


def differing(kept: str, given: str) -> str:
    r"""Describe the lines in which two configurations differ, in one line.

    Example:
        >>> from metaloss.runner import differing
        >>> differing("EPOCHS = 2\nLR = 0.1\n", "EPOCHS = 3\nLR = 0.1\n")
        'expected `EPOCHS = 2`, got `EPOCHS = 3`'
    """
    lines = list(difflib.ndiff(kept.splitlines(), given.splitlines()))
    lost, new = ([line[2:].strip() for line in lines if line[:2] == sign] for sign in ("- ", "+ "))
    lost, new = ([line for line in some if line and line[0] != "#"] for some in (lost, new))
    most = 3
    more = max(len(lost), len(new)) - most
    said = (", ".join(f"`{line}`" for line in some[:most]) or "nothing" for some in (lost, new))
    return "expected {}, got {}".format(*said) + (f", and {more} lines more" if more > 0 else "")
