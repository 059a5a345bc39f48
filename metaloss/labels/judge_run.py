"""The command: read a run, judge its labels, write the files and print what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from metaloss.checked_labels import CHECKED, checked_labels
from metaloss.checks import InputError, check_at_least, require
from metaloss.console import observer, say
from metaloss.experiments import RunFolder
from metaloss.experiments.records.finished import Choice
from metaloss.experiments.records.labels_file import MOST, Doubtful, DoubtfulLabels, to_json
from metaloss.experiments.records.labels_file import NAME as FOR_THE_PAGE
from metaloss.experiments.warnings.noise_limit import lost_labels
from metaloss.files import check_file_place, user_path, write_together
from metaloss.labels.assessment import Assessment, by_heart
from metaloss.labels.crosscheck import cleanlab_scores
from metaloss.labels.detection import Detection, detection
from metaloss.labels.listing import labels_csv
from metaloss.labels.run_reader import FinishedRun, judge, read_run
from metaloss.labels.sheet import Picture, contact_sheet, images_of
from metaloss.labels.show import summary, tables
from metaloss.labels.thumbnails import data_uri
from metaloss.machine import keep_freed_memory
from metaloss.report import write_again
from metaloss.report.page import write_or_warn
from metaloss.types import has_checked_meta

CSV, SHEET = "labels.csv", "labels.png"


def judge_run(
    run: Path,
    choice: Choice,
    *,
    score: str | None = None,
    out: Path | None = None,
    top: int = 40,
    folds: int | None = None,
    checked: Mapping[str, str] | None = None,
) -> tuple[FinishedRun, Assessment]:
    """Rank the training samples of a run by how doubtful their labels are.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        choice: which of its runs.
        score: the name of the score to rank by; the preferred one by default.
        out: the CSV file; ``labels.csv`` in the run's folder by default. The contact sheet has the
            same name and ends in ``.png``.
        top: the number of images on the contact sheet; 0 for none.
        folds: how many networks to train, each without a part of the samples, which it judges then;
            by default none: the run's own network judges all.
        checked: right labels by the names of their samples, which the CSV file is to have beside
            those that somebody has written into it before.

    Returns:
        The run and its judged labels.

    Raises:
        InputError: as for :func:`read_run`, there is no such score, ``out`` is no place for a
            file, or the checked labels in the file that is there cannot be read.
    """
    check_at_least("top", top, 0)
    if out is not None:
        out = user_path(out)
        require(out.suffix.lower() != ".png", f"out: expected the name of a CSV file, got {out}")
        check_file_place("out", out)
        _kept(out)
    if folds is None:
        found = read_run(run, choice)
    else:
        keep_freed_memory()
        with observer(Console(stderr=True)) as watching:
            found = read_run(run, choice, folds=folds, observer=watching)
    judged = judge(found)
    ranked_by = judged.preferred if score is None else score
    judged.score(ranked_by)  # refuses a score that there is not
    place = found.folder / CSV if out is None else out
    text = labels_csv(
        judged,
        found.class_names,
        found.judged_ids,
        column="id" if found.paths is None else "path",
        score=ranked_by,
        checked={**(checked or {}), **_kept(place)},
    )
    files = {CSV: text.encode(errors="surrogateescape")}
    files |= _pictures(found, judged, ranked_by, top, for_the_page=out is None)
    named = {place: files[CSV]}
    if SHEET in files:
        named[place.with_suffix(".png")] = files[SHEET]
    said = list(named)
    if FOR_THE_PAGE in files:
        named[found.folder / FOR_THE_PAGE] = files[FOR_THE_PAGE]
    # Only the run's own folder has a lock.
    with RunFolder(run, resume=True) if out is None else nullcontext():
        write_together(named)
    _print(found, judged, ranked_by)
    for path in said:
        say(f"{'picture' if path.suffix == '.png' else 'labels'}: {path}")
    if out is None:
        for folder in dict.fromkeys([user_path(run), found.folder]):
            # The labels are found: the page may not make that fail.
            write_or_warn(partial(write_again, folder, found.components))
    return found, judged


def _kept(place: Path) -> dict[str, str]:
    """Return the checked labels of a file that is written again; refuse a file of another kind."""
    found = checked_labels(place)
    require(
        found is not None or not place.is_file() or place.stat().st_size == 0,
        f"{place}: expected a list of labels, to be written again, with the columns "
        f"{CHECKED!r} and 'path' or 'id', in UTF-8; got another file; move it away, or name "
        "another with --out",
    )
    return found or {}


def _pictures(
    found: FinishedRun, judged: Assessment, ranked_by: str, top: int, *, for_the_page: bool
) -> dict[str, bytes]:
    """Return the contact sheet and what the page shows, by their names in the run's folder."""
    names, ids = found.class_names, found.judged_ids
    files: dict[str, bytes] = {}
    rows = judged.order(ranked_by)[: max(top, MOST if for_the_page else 0)].tolist()
    images = _images(found, rows, needed=top > 0) if rows else None
    given, suggested = (
        [names[labels[row]] for row in rows] for labels in (judged.labels, judged.suggested)
    )
    if images is not None and top > 0:
        pictures = list(map(Picture, images, given, suggested))
        files[SHEET] = contact_sheet(pictures[:top])
    if not for_the_page:
        return files
    uris = [""] * MOST if images is None else list(map(data_uri, images[:MOST]))
    scores = judged.score(ranked_by)[rows].tolist()
    samples = map(Doubtful, (str(ids[row]) for row in rows), given, suggested, scores, uris)
    about = f"{_whose(found)}; ranked by {ranked_by}"
    noise = judged.noise
    files[FOR_THE_PAGE] = to_json(
        DoubtfulLabels(
            list(samples),
            about,
            rate=round(noise.rate, 4),
            rates=dict(zip(names, _shares(noise.class_rates), strict=True)),
            transition=list(map(_shares, noise.transition)),
        )
    )
    return files


def _shares(values: Tensor) -> list[float | None]:
    """Return shares as JSON has them; one of no samples has no value."""
    return [None if math.isnan(each) else round(each, 4) for each in values.tolist()]


def _images(found: FinishedRun, rows: Sequence[int], *, needed: bool) -> list[NDArray[Any]] | None:
    """Return the images of samples; ``None`` if they are none, or cannot be read for the page."""
    paths = found.judged_paths
    try:
        if paths is not None:
            return images_of(found.task.train, rows, [paths[row] for row in rows])
        return _images_in_memory(found, rows)
    except InputError:
        if needed:
            raise
        return None


def _images_in_memory(found: FinishedRun, rows: Sequence[int]) -> list[NDArray[Any]] | None:
    """Return the images of samples; those after the training samples were held out."""
    first = len(found.index)
    parts = [(found.task.train, found.index, [row for row in rows if row < first], 0)]
    if found.held_out is not None:
        held_out = [row for row in rows if row >= first]
        parts.append((found.task.test, found.held_out.index, held_out, first))
    images: dict[int, NDArray[Any]] = {}
    for loader, index, own, start in parts:
        some = images_of(loader, [int(index[row - start]) for row in own]) if own else []
        if some is None:
            return None
        images.update(zip(own, some, strict=True))
    return [images[row] for row in rows]


def _detections(found: FinishedRun, judged: Assessment) -> dict[str, Detection]:
    if judged.flipped is None:
        return {}
    others = cleanlab_scores(found.probabilities, judged.labels)
    figures = {
        name: detection(scores, judged.flipped)
        for name, scores in {**judged.scores, **others}.items()
    }
    return {name: each for name, each in figures.items() if each is not None}


def _whose(found: FinishedRun) -> str:
    said = f"{found.method}, seed {found.seed}"
    return said if found.folds is None else f"{said}, out-of-fold by {found.folds} networks"


def _print(found: FinishedRun, judged: Assessment, ranked_by: str) -> None:
    of = ""
    if ranked_by == "combined" and found.own is not None:
        whose = "the folds'" if by_heart(found.own, found.labels) else "the run's own"
        of = f" (of {whose} predictions)"
    say(f"{found.task.name}: {_whose(found)}; ranked by {ranked_by}{of}")
    say(summary(judged))
    lost = lost_labels(judged.noise.transition, found.class_names)
    learned_from_clean = found.task.meta is not None and has_checked_meta(found.task)
    if lost and not learned_from_clean:
        say(
            f"warning: by the estimate, {lost}: such labels do not say which of them are wrong "
            "(Theorem 2). Check some of them, and learn from those"
        )
    unranked = int(judged.score(ranked_by).isnan().sum())
    if unranked:
        say(f"{unranked} held-out samples have no {ranked_by}, and are not ranked")
    for table in tables(judged, found.class_names, _detections(found, judged), ranked_by):
        Console().print(table, highlight=False)
