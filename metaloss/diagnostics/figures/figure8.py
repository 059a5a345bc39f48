"""Figure 8: distributions of hyperparameters over training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from metaloss.checks import require
from metaloss.diagnostics.figures.distributions import Spread, draw_spreads
from metaloss.diagnostics.figures.drawing import save, symbol
from metaloss.diagnostics.figures.reading import learned, method_of, over_training
from metaloss.experiments.records.run_records import RunRecords

_SMALLEST = 1e-3  # of the ratio of SL's two hyperparameters, each of which may be 0


def draw_figure8(
    runs: Sequence[RunRecords], path: str | Path, components: Iterable[type] = ()
) -> Figure:
    r"""Draw Figure 8: hyperparameters of right and wrong labels at the recorded times.

    A row is a hyperparameter, a column a time; of more than five times, five are shown. The axis is
    the hyperparameter's whole range. SL is shown by :math:`\gamma_1 / \gamma_2` as in the paper, on
    a logarithmic axis that has all ratios from 0.001 to 1000; the outer bins hold what is beyond. A
    dotted line is the loss's default.

    Args:
        runs: finished runs that learned an adjuster and recorded their samples over training.
        path: the picture's, which ends in .png, .svg or .pdf.
        components: your own classes that the adjusters' cards name.

    Returns:
        The figure, as written.

    Raises:
        InputError: There is no run, a run is not finished, learned no adjuster or recorded its
            samples at its end alone, or matplotlib does not know the ending of ``path``.

    References:
        The paper, Section 4.3 and Figure 8.
    """
    require(len(runs) > 0, "runs: expected one or more, got none")
    components = tuple(components)
    spreads = [spread for records in runs for spread in _spreads(records, components)]
    figure = draw_spreads(spreads)
    save(figure, path)
    return figure


def _around(ratios: Sequence[Tensor], default: float) -> tuple[float, float]:
    """Return the ends of the axis: around all times' ratios and the default."""
    lowest = min(default, *(float(each.min()) for each in ratios))
    highest = max(default, *(float(each.max()) for each in ratios))
    return max(0.8 * lowest, _SMALLEST), min(1.25 * highest, 1 / _SMALLEST)


def _spreads(records: RunRecords, components: Iterable[type]) -> list[Spread]:
    declared = learned(records, components).loss.hyperparameters
    method, times = method_of(records), over_training(records)
    of = {
        h.name: [time.samples["hparams"][:, column] for time in times]
        for column, h in enumerate(declared)
    }
    if of.keys() == {"gamma_1", "gamma_2"}:
        one, two = (
            [values.double().clamp(min=1e-9) for values in of[name]]
            for name in ("gamma_1", "gamma_2")
        )
        ratios = [a / b for a, b in zip(one, two, strict=True)]
        default = declared[0].default / max(declared[1].default, 1e-9)
        ends = _around(ratios, default)
        return [Spread(method, r"$\gamma_1 / \gamma_2$", times, ratios, *ends, True, default)]
    return [
        Spread(method, symbol(h.name), times, of[h.name], h.low, h.high, default=h.default)
        for h in declared
    ]
