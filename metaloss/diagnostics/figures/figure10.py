"""Figure 10: the training loss over training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metaloss.checks import InputError, is_number, require
from metaloss.diagnostics.figures.drawing import (
    FIXED,
    LEARNED,
    legend_below,
    panels,
    plain_text,
    save,
)
from metaloss.diagnostics.figures.reading import Pair, method_of
from metaloss.experiments.records.run_records import RunRecords


def draw_figure10(pairs: Sequence[Pair], path: str | Path) -> Figure:
    """Draw Figure 10: the training loss against the epoch, fixed beside adjusted, a panel a pair.

    The loss is the mean of an epoch over the noisy training samples, each by its own loss
    (``train_loss`` in ``metrics.jsonl``). Its axis begins at 0.

    Args:
        pairs: for each loss a finished run with learned hyperparameters and one with fixed ones.
        path: the picture's, which ends in .png, .svg or .pdf.

    Returns:
        The figure, as written.

    Raises:
        InputError: There is no pair, one lacks its fixed run, a run is not finished, an epoch's
            loss is missing, or matplotlib does not know the ending of ``path``.

    References:
        The paper, Section 4.3 and Figure 10.
    """
    require(len(pairs) > 0, "pairs: expected one or more, got none")
    figure, axes = panels(len(pairs), min(len(pairs), 2), 3.2)
    for axis, pair in zip(axes, pairs, strict=True):
        if pair.fixed is None:
            raise InputError(
                f"{pair.adjusted.path}: expected a fixed run to draw beside it, got none"
            )
        both = ((pair.fixed, FIXED, "--", "fixed"), (pair.adjusted, LEARNED, "-", "adjusted"))
        for records, colour, line, label in both:
            losses = _losses(records)
            epochs = range(1, len(losses) + 1)
            axis.plot(epochs, losses, color=colour, linestyle=line, linewidth=1.8, label=label)
        names = [plain_text(method_of(records)) for records in (pair.fixed, pair.adjusted)]
        axis.set_title(" and ".join(names))
        axis.set(xlabel="epoch", ylabel="training loss")
        axis.set_ylim(0, axis.get_ylim()[1])
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure)
    save(figure, path)
    return figure


def _losses(records: RunRecords) -> list[float]:
    """Return the mean training loss of each epoch."""
    lines = records.metrics.read({None: records.finished_result()["epochs"]})
    found = sorted((line["epoch"], line.get("train_loss")) for line in lines)
    for epoch, loss in found:
        require(
            is_number(loss),
            f"{records.metrics.path}: expected the train_loss of epoch {epoch}, got {loss!r}",
        )
    return [float(loss) for _, loss in found]  # type: ignore[arg-type]
