"""The page: its sections, put together and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from metaloss import __version__
from metaloss.checks import require
from metaloss.console import say
from metaloss.files import check_file_place, user_path, write_atomically
from metaloss.report.charts import hiding
from metaloss.report.html import escaped
from metaloss.report.rows import Report, gather
from metaloss.report.sections.confusions import confusions
from metaloss.report.sections.doubtful import doubtful
from metaloss.report.sections.epochs import hyperparameter_means, over_epochs, training_loss
from metaloss.report.sections.learned import curves, distributions
from metaloss.report.sections.scores import results
from metaloss.report.sections.setup import configuration, environment
from metaloss.report.sections.warnings import warnings
from metaloss.report.style import PAGE, STYLE
from metaloss.report.svg import style
from metaloss.user_errors import one_line

NAME = "report.html"
"""The file's name in the folder of a run."""

OF_SEVERAL = "comparison.html"
"""The name of a page about several folders, in the first of them."""

SECTIONS: tuple[Callable[[Report], str], ...] = (
    results,
    warnings,
    confusions,
    doubtful,
    over_epochs,
    curves,
    hyperparameter_means,
    distributions,
    training_loss,
    configuration,
    environment,
)
"""The sections in their order. Each is a function from the report to HTML, empty if it has nothing
to show; another one needs an entry here alone."""


def write_report(
    folders: Sequence[str | Path], out: str | Path | None = None, components: Iterable[type] = ()
) -> Path:
    """Write one HTML page about finished runs: what ``metaloss report`` does.

    The page needs no other file, no script and no network. It has the table of results, warnings,
    metrics over the epochs, what the adjusters learned, the configuration and the machine. Runs
    that are not finished are left out, and named.

    Args:
        folders: the folders of one or more experiments. Of several, all methods stand in one table
            and in the same charts.
        out: the file; by default ``report.html`` in the folder, or ``comparison.html`` in the first
            of several.
        components: classes of your own that the adjusters' cards name.

    Returns:
        The file.

    Raises:
        InputError: There is no folder, one has no finished run or is given twice, or the runs have
            different metrics.

    Example:
        >>> import tempfile
        >>> from metaloss.report import write_report
        >>> write_report([tempfile.mkdtemp()])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: /...: expected the folder of a run (of metaloss fit or ...
    """
    report = gather(folders, components)
    name = NAME if len(report.sources) == 1 else OF_SEVERAL
    path = report.sources[0].path / name if out is None else user_path(out)
    check_file_place("out", path)
    require(
        path.suffix.lower() in {".html", ".htm"},
        f"out: expected the name of an HTML file, got {path}",
    )
    # Names of files may hold bytes that are no text.
    write_atomically(path, page(report).encode(errors="replace"))
    return path


def write_again(folder: Path, components: Iterable[type] = ()) -> Path | None:
    """Write the page in a run's folder again, if there is one.

    Args:
        folder: the folder of an experiment.
        components: classes of the user's own that the adjusters' cards name.

    Returns:
        The page; ``None`` if the folder has none.

    Raises:
        InputError: The page is about other runs too, whose folders are not known here; and as for
            :func:`~metaloss.report.write_report`.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    require(
        '<meta name="folders" content="1">' in path.read_text("utf-8", errors="replace"),
        f"{path}: expected a page about this run alone, got one about several, or no page of "
        "`metaloss report`, which writes it again with all their folders",
    )
    return write_report([folder], components=components)


def write_or_warn(write: Callable[[], Path | None]) -> None:
    """Write a page and say where. A run is done by then: nothing about its page may make it fail.

    Args:
        write: writes the page, and returns it; ``None`` if there is to be none.
    """
    try:
        path = write()
    except Exception as error:
        why = one_line(str(error)) or type(error).__name__
        say(f"warning: the report could not be written: {why}", Console(stderr=True))
    else:
        if path is not None:
            say(f"report: {path}")


def page(report: Report) -> str:
    """Return the page about runs."""
    with style():
        sections = [text for make in SECTIONS if (text := make(report))]
    found = [re.match(r'<section id="([a-z]+)">\n<h2>(.*?)</h2>', text) for text in sections]
    links = " ".join(f'<a href="#{one[1]}">{one[2]}</a>' for one in found if one is not None)
    runs = {run.records.path for _, run in report.every_run()}
    count = f"{len(runs)} finished run{'' if len(runs) == 1 else 's'}"
    methods = f"{len(report.rows)} method{'' if len(report.rows) == 1 else 's'}"
    return PAGE.substitute(
        version=escaped(__version__),
        folders=len(report.sources),
        title=escaped(f"{report.title}: report"),
        style=STYLE + hiding(report),
        about=escaped(f"{count} of {methods} on {', '.join(report.tasks)}."),
        links=links,
        sections="\n".join(sections),
    )
