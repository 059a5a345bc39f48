"""Figure 7: hyperparameters against the margin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from metaloss.checks import require
from metaloss.diagnostics.figures.curves import draw_predictions
from metaloss.diagnostics.figures.drawing import (
    WORDS,
    legend_below,
    panels,
    plain_text,
    save,
    symbol,
    told_by,
)
from metaloss.diagnostics.figures.reading import (
    Pair,
    at_the_end,
    fixed_values,
    learned,
    method_of,
)


def draw_figure7(
    pairs: Sequence[Pair], path: str | Path, components: Iterable[type] = ()
) -> Figure:
    """Draw Figure 7: hyperparameters against the margin, a panel a hyperparameter.

    There is a curve for each snapshot of the adjuster, from light to dark over training, and a
    dotted line for the fixed value. The axis of a hyperparameter is its whole range, so that what
    is the same for all samples looks flat. Along the lower edge is where the samples are at the end
    of training. The axis of margins shows 99% of them.

    An adjuster that reads more than the margin has no such curve. Its panel shows what it predicts
    for each sample at the end of training.

    Args:
        pairs: for each loss a finished run with learned hyperparameters, and one with fixed ones,
            if there is one.
        path: the picture's, which ends in .png, .svg or .pdf.
        components: your own classes that the adjusters' cards name.

    Returns:
        The figure, as written.

    Raises:
        InputError: There is no pair, a run is not finished or not of the right kind, or matplotlib
            does not know the ending of ``path``.

    References:
        The paper, Section 4.1 and Figure 7.
    """
    require(len(pairs) > 0, "pairs: expected one or more, got none")
    components = tuple(components)
    parts = []
    for pair in pairs:
        criterion = learned(pair.adjusted, components)
        samples, fixed = at_the_end(pair.adjusted), fixed_values(pair, criterion.loss)
        parts += [(pair, criterion, samples, k, value) for k, value in enumerate(fixed)]
    figure, axes = panels(len(parts), min(len(parts), 3), 3.0)
    for axis, (pair, criterion, samples, column, value) in zip(axes, parts, strict=True):
        draw_predictions(axis, criterion, column, samples, (value, "fixed value"))
        name = symbol(criterion.loss.hyperparameters[column].name)
        method = plain_text(method_of(pair.adjusted))
        axis.set(xlabel=WORDS[told_by(samples)][0], ylabel=name, title=f"{method}: {name}")
    legend_below(figure)
    save(figure, path)
    return figure
