"""All labels of a run, judged: those that were trained on, and those that were held out."""

from __future__ import annotations

from metaloss.labels.assessment import Assessment, assess
from metaloss.labels.held_out import with_held_out
from metaloss.labels.run_reader import FinishedRun


def judge(run: FinishedRun) -> Assessment:
    """Judges the labels of a finished run.

    Args:
        run: the run, as :func:`~metaloss.labels.read_run` returns it.

    Returns:
        The judged labels of its training samples, and after them those of its held-out samples, if
        their labels are unchecked, too: in the order of ``run.judged_ids``. The scores of both
        compare (:func:`~metaloss.labels.held_out.with_held_out`).

    Example:
        >>> from metaloss.labels import judge, labels_csv, read_run
        >>> run = read_run("runs/pets")  # doctest: +SKIP
        >>> text = labels_csv(judge(run), run.class_names, run.judged_ids)  # doctest: +SKIP
    """
    trained = assess(
        run.probabilities,
        run.labels,
        weights=run.weights,
        mean_margins=run.mean_margins,
        flipped=run.flipped,
        own=run.own,
    )
    if run.held_out is None:
        return trained
    return with_held_out(trained, run.held_out, run.probabilities)
