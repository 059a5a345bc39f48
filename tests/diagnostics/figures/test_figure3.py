"""Figure 3 shows the coefficients of the theory."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloss.diagnostics.figures import draw_figure3


@pytest.mark.drawn
def test_its_curves_are_the_printed_coefficients(tmp_path: Path) -> None:
    figure = draw_figure3(tmp_path / "figure3.png")
    gce, js = figure.axes
    for line, q in zip(gce.lines, (0.3, 0.5, 0.7, 0.9), strict=False):
        assert line.get_label() == f"$q$ = {q:g}"
        for c, height in zip(line.get_xdata(), line.get_ydata(), strict=True):
            assert height == pytest.approx((c ** (1 - q) - 1) / q, rel=1e-6)
    assert [line.get_label() for line in js.lines][-1] == "oracle"
    for axes in (gce, js):
        assert list(axes.lines[-1].get_ydata()) == pytest.approx([1.0] * 17)
        assert axes.get_xscale() == axes.get_yscale() == "log"
    assert (tmp_path / "figure3.png").stat().st_size > 1000
