"""The command: read a run, judge its labels, write the files and print what was found."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from metaloss.checks import check_at_least, require
from metaloss.experiments import RunFolder
from metaloss.experiments.finished import Choice
from metaloss.files import check_place, user_path, write_together
from metaloss.labels.assessment import Assessment, assess
from metaloss.labels.crosscheck import cleanlab_scores
from metaloss.labels.detection import Detection, detection
from metaloss.labels.listing import labels_csv
from metaloss.labels.run_reader import FinishedRun, read_run
from metaloss.labels.sheet import Picture, contact_sheet, images_of
from metaloss.labels.show import summary, tables

CSV, SHEET = "labels.csv", "labels.png"


def judge_run(
    run: Path,
    choice: Choice,
    *,
    score: str | None = None,
    out: Path | None = None,
    top: int = 40,
) -> tuple[FinishedRun, Assessment]:
    """Rank the training samples of a run by how doubtful their labels are.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        choice: which of its runs.
        score: the name of the score to rank by; the preferred one by default.
        out: the CSV file; ``labels.csv`` in the run's folder by default. The contact sheet has the
            same name and ends in ``.png``.
        top: the number of images on the contact sheet; 0 for none.

    Returns:
        The run and its judged labels.

    Raises:
        InputError: as for :func:`read_run`, there is no such score, or the files cannot be written.
    """
    check_at_least("top", top, 0)
    if out is not None:
        out = user_path(out)
        require(out.suffix.lower() != ".png", f"out: expected the name of a CSV file, got {out}")
        check_place(out.parent)
    found = read_run(run, choice)
    judged = assess(
        found.probabilities,
        found.labels,
        weights=found.weights,
        mean_margins=found.mean_margins,
        flipped=found.flipped,
    )
    ranked_by = judged.preferred if score is None else score
    judged.score(ranked_by)  # refuses a score that there is not
    files = _files(found, judged, ranked_by, top)
    place = found.folder / CSV if out is None else out
    named = {place: files[CSV]}
    if SHEET in files:
        named[place.with_suffix(".png")] = files[SHEET]
    # Only the run's own folder has a lock.
    with RunFolder(run, resume=True) if out is None else nullcontext():
        write_together(named)
    _print(found, judged, ranked_by)
    for path in named:
        _say(f"{'picture' if path.suffix == '.png' else 'labels'}: {path}")
    return found, judged


def _files(found: FinishedRun, judged: Assessment, ranked_by: str, top: int) -> dict[str, bytes]:
    names, paths = found.class_names, found.paths
    ids = found.ids
    column = "id" if paths is None else "path"
    text = labels_csv(judged, names, ids, column=column, score=ranked_by)
    files = {CSV: text.encode(errors="surrogateescape")}
    rows = judged.order(ranked_by)[:top].tolist()
    if not rows:
        return files
    own = None if paths is None else [paths[row] for row in rows]
    images = images_of(found.task.train, found.index[rows].tolist(), own)
    if images is not None:
        pictures = [
            Picture(image, names[judged.labels[row]], names[judged.suggested[row]])
            for image, row in zip(images, rows, strict=True)
        ]
        files[SHEET] = contact_sheet(pictures)
    return files


def _detections(found: FinishedRun, judged: Assessment) -> dict[str, Detection]:
    if judged.flipped is None:
        return {}
    others = cleanlab_scores(found.probabilities, judged.labels)
    figures = {
        name: detection(scores, judged.flipped)
        for name, scores in {**judged.scores, **others}.items()
    }
    return {name: each for name, each in figures.items() if each is not None}


def _print(found: FinishedRun, judged: Assessment, ranked_by: str) -> None:
    _say(f"{found.task.name}: {found.method}, seed {found.seed}; ranked by {ranked_by}")
    _say(summary(judged))
    for table in tables(judged, found.class_names, _detections(found, judged), ranked_by):
        Console().print(table, highlight=False)


def _say(line: str) -> None:
    Console().print(line, soft_wrap=True, highlight=False, markup=False)
