"""Running what a configuration describes, and showing what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from metaloss.checks import InputError, require
from metaloss.config import Config, configuration
from metaloss.console import across_table, observer, results_table
from metaloss.diagnostics import Learned, draw_learned
from metaloss.pretrained import load_adjuster
from metaloss.training import Comparison, Experiment, MetaTraining, RunFolder, transferred
from metaloss.training.speed import keep_freed_memory


def run(
    config: str, out: Path, files: Sequence[str], bindings: Sequence[str], resume: bool
) -> None:
    """Run a configuration, and print its table and where everything is.

    Args:
        config: a gin file, by path or by its name among the package's.
        out: the run's folder.
        files: more gin files, read after it.
        bindings: single bindings, read last.
        resume: go on with what is in the folder.

    Raises:
        InputError: the configuration cannot be used, or is not the one that the run was started
            with.
    """
    keep_freed_memory()
    console = Console()
    folder = RunFolder(out, resume)
    with configuration([config, *files], bindings) as parsed:
        experiment = build(parsed)
        if resume:
            _check_same(folder, parsed.text)
        with observer(console) as watching:
            rows = experiment.run(folder, watching, {"config.gin": parsed.text})
        folder.write("operative.gin", parsed.operative)
    _show(console, experiment, folder, rows)


def kind_of(parsed: Config) -> type[Any]:
    """What a configuration is of: one task, several, or tasks to meta-train on."""
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
    """What a configuration describes.

    Raises:
        InputError: it does not say enough, or says what cannot be.
    """
    kind = kind_of(parsed)
    require(
        parsed.binds(kind, "methods"),
        f"{kind.__name__}.methods: required, got nothing; to put learned adjusters on this task: "
        "metaloss transfer CONFIG.gin --adjuster NAME",
    )
    return parsed.build(kind)


def one_task(parsed: Config, name: str | None = None) -> Experiment:
    """The experiment of a configuration; where it has several tasks, that of one of them.

    Args:
        parsed: the configuration.
        name: the task's; the first one's if not given.

    Raises:
        InputError: as for :func:`build`, or there is no such task.
    """
    built = build(parsed)
    if isinstance(built, Experiment):
        require(name is None, f"task: expected none, for there is but one, got {name!r}")
        return built
    experiments: dict[str, Experiment] = built.experiments()
    name = next(iter(experiments)) if name is None else name
    require(name in experiments, f"task: expected one of {', '.join(experiments)}, got {name!r}")
    return experiments[name]


def _show(console: Console, experiment: Any, folder: RunFolder, rows: Sequence[Any]) -> None:
    recipe = getattr(experiment, "held_out_recipe", None) or experiment.recipe
    last = min(experiment.last, recipe.epochs)
    if isinstance(experiment, Experiment):
        console.print(results_table(rows, last))
        for picture in _draw(experiment, folder):
            _say(console, f"picture: {picture}")
    elif rows:
        console.print(across_table(rows, last))
    if isinstance(experiment, MetaTraining):
        for method in experiment.methods:
            place = folder.run(method.name, experiment.seeds[0]).adjuster
            _say(console, f"adjuster: {place}")
    _say(console, f"results: {folder.path}")


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _draw(experiment: Any, folder: RunFolder) -> list[Path]:
    """Draw what the first seed's adjusters learned; the pictures made."""
    learned = []
    for method in experiment.methods:
        records = folder.run(method.name, experiment.seeds[0])
        if records.adjuster.is_dir():
            criterion = load_adjuster(records.adjuster, components=method.components)
            unchecked = bool((records.result() or {}).get("test_unchecked"))
            samples = records.read_tensors("samples")
            learned.append(Learned(method.name, criterion, samples, unchecked))
    if not learned:
        return []
    path = folder.path / "hyperparameters.png"
    draw_learned(learned, path)
    return [path]


def _check_same(folder: RunFolder, text: str) -> None:
    kept = folder.path / "config.gin"
    require(
        kept.is_file(),
        f"{folder.path}: expected a run that was started from a gin file, got one from Python; go "
        "on with it there, by RunFolder(path, resume=True)",
    )
    if kept.read_text() != text:
        raise InputError(
            f"{folder.path}: expected the configuration that the run was started with "
            "(its config.gin), got another"
        )
