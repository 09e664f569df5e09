"""Plots as SVG to stand within a page: no file, no script, no font that is not there."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREY = "#0b6bcb", "#c2410c", "#64748b"
_NARROW = (4.4, 3.9)
"""Inches: two stand beside each other on a desk, one fills a phone."""
_WIDE = 7.2
_LONGEST = 34
"""Characters of a label beside a bar."""


class Bar(NamedTuple):
    """A share in [0, 1] with its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def bars(items: Sequence[Bar], caption: str) -> str:
    """Horizontal bars of shares, with whiskers for their 95 % intervals."""
    figure, axes = _figure(_WIDE, 0.9 + 0.42 * len(items))
    places = list(range(len(items)))
    axes.barh(places, [one.value for one in items], color=BLUE, height=0.62)
    for place, one in zip(places, items, strict=True):
        end = one.value
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color="#0f172a", linewidth=1.4)
            end = max(end, one.high)
        axes.text(end + 0.015, place, f"{one.value:.0%}", va="center", fontsize=10, color="#0f172a")
    axes.set_yticks(places, [_short(one.name) for one in items])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12)
    _percent(axes, "x")
    return _svg(figure, caption)


def calibration(bins: Sequence[dict[str, Any]], caption: str) -> str:
    """What was promised against what came true; on the line the two are equal."""
    figure, axes = _figure(*_NARROW)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="as promised")
    for one in bins:
        axes.plot([one["probability"]] * 2, one["interval"], color=BLUE, linewidth=1.2, alpha=0.7)
    most = max((one["n"] for one in bins), default=1)
    sizes = [30 + 130 * one["n"] / most for one in bins]
    axes.scatter([one["probability"] for one in bins], [one["right"] for one in bins], s=sizes, color=BLUE, zorder=3)
    axes.set_xlabel("promised probability")
    axes.set_ylabel("share that was right")
    _square(axes)
    return _svg(figure, caption)


def risk_coverage(points: Sequence[dict[str, Any]], chosen: tuple[float, float] | None, caption: str) -> str:
    """How many of the answers given are wrong, when only the surest share of incidents is answered."""
    figure, axes = _figure(*_NARROW)
    coverage, risk = [one["coverage"] for one in points], [one["risk"] for one in points]
    axes.plot([0, *coverage], [risk[0] if risk else 0, *risk], color=BLUE, linewidth=1.8, drawstyle="steps-pre")
    if chosen is not None:
        axes.scatter([chosen[0]], [chosen[1]], color=RED, zorder=3, s=60, label="where it stops answering")
        axes.legend(frameon=False, loc="upper left")
    axes.set_xlabel("share of incidents answered")
    axes.set_ylabel("wrong among those answers")
    _square(axes)
    axes.set_ylim(-0.02, max(0.25, *risk) * 1.15 if risk else 1)
    return _svg(figure, caption)


def confusion(counts: Sequence[dict[str, Any]], caption: str, most: int = 14) -> str:
    """A matrix of what was right (rows) against what was answered (columns), of the most frequent names."""
    import pandas as pd

    table = pd.DataFrame(counts)
    matrix = table.pivot_table(index="gold", columns="answer", values="n", aggfunc="sum", fill_value=0)
    rows = list(matrix.sum(axis=1).sort_values(ascending=False).index[:most])
    # The same order on both sides, so that what is right lies on the diagonal.
    columns = [name for name in rows if name in matrix.columns]
    columns += [name for name in matrix.loc[rows].sum().sort_values(ascending=False).index if name not in columns]
    columns = columns[:most]
    shown = matrix.reindex(index=rows, columns=columns, fill_value=0)
    cells = shown.to_numpy(dtype=int)
    figure, axes = _figure(_WIDE, 1.9 + 0.34 * len(rows))
    axes.imshow(cells, cmap="Blues", aspect="auto", vmin=0)
    for row in range(len(rows)):
        for column in range(len(columns)):
            n = int(cells[row, column])
            if n:
                color = "white" if n > cells.max() * 0.6 else "#0f172a"
                axes.text(column, row, str(n), ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(len(columns)), [_short(name) for name in columns], rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), [_short(name) for name in rows], fontsize=8)
    axes.set_xlabel("answered")
    axes.set_ylabel("right")
    return _svg(figure, caption)


def _figure(width: float, height: float) -> tuple[Any, Axes]:
    # Not pyplot: it keeps figures, and chooses a window system.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _square(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(color="#e2e8f0", linewidth=0.8)
    _percent(axes, "x")
    _percent(axes, "y")


def _percent(axes: Axes, side: str) -> None:
    from matplotlib.ticker import PercentFormatter

    getattr(axes, f"{side}axis").set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def _svg(figure: Any, caption: str) -> str:
    """The figure as an SVG element that scales, named for who cannot see it."""
    import matplotlib as mpl

    buffer = io.StringIO()
    # Identifiers are hashed with the caption: those of two plots on one page must differ.
    with mpl.rc_context({"svg.hashsalt": caption, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    head = re.search(r'viewBox="([^"]+)"', text)
    box = head[1] if head else "0 0 400 300"
    body = text[text.index(">") + 1 :]
    name = escape(caption, quote=True)
    prefix = f"p{abs(hash_of(caption))}-"
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', body)
    body = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{prefix}\2"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", body)
    width = float(box.split()[2])
    return (
        f'<figure style="max-width:{width * 1.3:.0f}px"><svg xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}" role="img" aria-label="{name}">{body.strip()}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    import zlib

    return zlib.crc32(text.encode())


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
