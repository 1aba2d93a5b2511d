"""The cells of the run table as HTML: in Python, as a page has five hundred of them.

A library of template tags, named in the settings: `templatetags` may not know the table.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from experiments.models import Project, Run
from experiments.run_table.fields import Field, Kind
from experiments.run_table.group_table import Figure
from experiments.run_table.layout import Format
from experiments.run_table.table import Cell, RunRow
from experiments.runs import costs
from experiments.templatetags.figures import NOTHING, figure, setting
from portal.templatetags.words import ago, duration, percent, state_words

register = template.Library()

LONGEST = 80
FORMATS: dict[Format, Callable[[float], str]] = {
    "": figure,
    "3": lambda value: f"{value:.3g}",
    "6": lambda value: f"{value:.6g}",
    "fixed": lambda value: f"{value:,.2f}",
    "percent": lambda value: f"{value * 100:.1f} %",
    "scientific": lambda value: f"{value:.2e}",
    "exact": repr,
}
# What is shown, and what a query would take for it.
Content = tuple[SafeString | str, str]


@register.simple_tag
def run_cell(row: RunRow, cell: Cell) -> SafeString:
    """Return the <td> of a cell, in few bytes. `data-v` is its value as a query takes it, where
    that is not the text that is shown."""
    special = SPECIAL.get(cell.key)
    shown, raw = special(row.run) if special else _content(cell, cell.value)
    return format_html(
        '<td data-label="{}"{}{}{}>{}</td>',
        cell.title,
        SafeString(' class="num"') if cell.number else "",
        format_html(' data-v="{}"', raw) if raw and raw != shown else "",
        SafeString(' data-best title="Best of all runs found"') if cell.best else "",
        shown,
    )


@register.simple_tag
def group_value(field: Field, value: Any) -> SafeString | str:
    """Return a value that runs are grouped by."""
    if field.key == "state":
        return state_words(value)
    return _shown(field.kind, value, "")[0]


@register.simple_tag
def group_cell(figure: Figure, project: Project) -> SafeString:
    """Return the <td> of a number over a group: mean, spread, how many, and a link to the best."""
    summary, show = figure.summary, _shower(figure)
    if summary.mean is None:
        return format_html('<td class="num" data-narrow="hide">{}</td>', NOTHING)
    spread = f" ± {show(summary.spread)}" if summary.spread is not None else ""
    of_runs = f" ({summary.n})" if summary.n != figure.runs else ""
    best = ""
    if summary.best is not None and summary.best_run is not None:
        url = reverse("experiments:run", args=[project.slug, summary.best_run])
        # Of a single run the best is the mean, which stands there already.
        words = f"best {show(summary.best)}" if summary.n > 1 else f"run {summary.best_run}"
        best = format_html(
            ' <a class="muted small" href="{}" title="Run {}">{}</a>', url, summary.best_run, words
        )
    return format_html(
        '<td class="num" data-label="{}"{}>{}{}{}{}</td>',
        figure.title, SafeString(" data-best") if figure.leads else "",
        show(summary.mean), spread, of_runs, best,
    )  # fmt: skip


def _shower(figure: Figure) -> Callable[[float], str]:
    if figure.kind == Kind.DURATION:
        return duration
    if figure.kind == Kind.MONEY:
        return lambda amount: costs.prices().format_amount(Decimal(amount))
    return lambda value: formatted(value, figure.column.format)


def _state(run: Run) -> Content:
    words = state_words(run)
    mark = format_html('<span class="state" data-state="{}">{}</span>', run.state, words)
    if run.state == Run.State.RUNNING:
        mark += format_html(' <span class="muted">{}</span>', percent(run.progress))
    return mark, ""


SPECIAL: dict[str, Callable[[Run], Content]] = {
    "state": _state,
    "owner": lambda run: (run.submitted_by.display_name, run.submitted_by.username),
    "recipe": lambda run: (run.recipe or "script", run.recipe),
    "progress": lambda run: (percent(run.progress), str(run.progress)),
}


def _content(cell: Cell, value: Any) -> Content:
    return _shown(cell.head.field.kind, value, cell.head.column.format)


def _shown(kind: Kind, value: Any, chosen: Format) -> Content:
    if value is None:
        return NOTHING, ""
    if kind in KINDS:
        return KINDS[kind](value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Nobody looks for a measured number to its last digit.
        return formatted(value, chosen), "" if kind == Kind.NUMBER else repr(value)
    text = setting(value)
    return (f"{text[: LONGEST - 1]}…" if len(text) > LONGEST else text), text


def _time(moment: datetime) -> Content:
    # The exact time is shown by a script (cells.js): twice in each row is too much.
    stamp = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return format_html('<time datetime="{}">{}</time>', stamp, ago(moment)), ""


def _list(values: list[Any]) -> Content:
    chips = ((value,) for value in values)
    return format_html_join(" ", '<span class="chip">{}</span>', chips) or NOTHING, ""


def _line(points: list[tuple[float, float]]) -> Content:
    """Return a curve in a box of 100 by 20; its figures are in the columns beside it."""
    path = "M" + "L".join(f"{x * 100:.0f} {19 - y * 18:.0f}" for x, y in points)
    line = format_html(
        '<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" '
        'aria-label="Curve"><path d="{}"/></svg>',
        path,
    )
    return line, ""


KINDS: dict[Kind, Callable[[Any], Content]] = {
    Kind.TIME: _time,
    Kind.DURATION: lambda seconds: (duration(seconds), f"{seconds:.6g}"),
    Kind.LIST: _list,
    Kind.CURVE: _line,
}


def formatted(value: float, chosen: Format) -> str:
    """Return a number as a column has chosen to show it."""
    return FORMATS[chosen](value) if math.isfinite(value) else figure(value)
