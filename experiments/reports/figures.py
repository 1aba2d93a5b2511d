"""The figures of a chart, read here: for a file, for a page without a script, to be frozen."""

import math
from collections.abc import Mapping, Sequence
from uuid import UUID

from backline.columns import Float64
from experiments.charts import answers, groups, lines, smoothing, values
from experiments.charts.bands import Spread
from experiments.charts.lines import Wanted
from experiments.charts.panels import Panel
from experiments.charts.selection import Selection
from experiments.models import Project, Run
from experiments.reports.pieces import Bar, Chart, Dot, Line, Share
from experiments.run_table import compare, fields
from experiments.templatetags.figures import COLOURS, DASHES, colour

# Points of each line: no file is wider than this.
POINTS, POINTS_OF_MANY, MANY = 240, 100, 24
# Lines of one picture; more cannot be told apart, and make megabytes.
MOST_LINES = 120
# With more lines than this, bands hide each other.
MOST_BANDS = 12


def read(project: Project, panel: Panel, selection: Selection) -> Chart:
    """Return the chart of a panel over the runs, with the ids of the runs behind each part."""
    match panel.kind:
        case "curves":
            return _curves(panel, selection)
        case "bars":
            return _bars(panel, selection)
        case "importance":
            return _importance(project, panel, selection)
    return _dots(panel, selection)


def title_of(panel: Panel) -> str:
    """Return the title of a panel: its own, else what it draws."""
    if panel.title:
        return panel.title
    if panel.kind == "curves":
        return ", ".join(name.removeprefix("=").strip() for name in panel.names)
    titles = [_title(key) for key in panel.fields]
    match panel.kind:
        case "scatter":
            by = f", coloured by {titles[2]}" if titles[2:] else ""
            return f"{titles[1]} against {titles[0]}{by}"
        case "contour":
            return f"{titles[2]} over {titles[0]} and {titles[1]}"
        case "importance":
            return f"What matters for {titles[0]}"
    return " · ".join(titles)


# --- Curves -----------------------------------------------------------------------------------


def _curves(panel: Panel, selection: Selection) -> Chart:
    settings, runs = panel.settings, selection.runs
    by = groups.by(runs, settings.group) if settings.group else None
    spread = settings.spread or Spread.EXTREMES
    count = len(by if by is not None else runs) * len(panel.names)
    wanted = Wanted(
        runs=runs,
        names=panel.names,
        points=answers.affordable(
            POINTS if count <= MANY else POINTS_OF_MANY, len(runs), len(lines.names_in(panel.names))
        ),
        x=settings.x or lines.STEP,
        groups=by,
        spread=spread,
    )
    drawn = lines.read(wanted)
    found = sorted(drawn.lines, key=lambda line: (line.who, line.name))
    notes = [str(error) for error in drawn.errors.values()]
    if len(found) > MOST_LINES:
        notes.append(f"The first {MOST_LINES} of {len(found):,} lines.")
    method, amount = settings.smooth, _amount(panel)
    if method in smoothing.NAMES:
        notes.append(f"{smoothing.NAMES[method]} {amount:g} of the points drawn")
    if by is not None:
        notes.append(f"band: {spread.words}")
    bad = sum(int(line.marks[1].sum()) for line in found)
    notes += [f"{bad:,} values are not finite"] if bad else []
    owners = _owners(runs, by)
    banded = by is not None or len(found) <= MOST_BANDS
    return Chart(
        kind="curves", title=title_of(panel), x=wanted.x, x_kind=_kind_of(wanted.x),
        log_x=bool(settings.log_x), log_y=bool(settings.log_y), clip=bool(settings.clip),
        lines=[
            _line(line, owners, panel, banded=banded) for line in found[:MOST_LINES]
        ],
        height=panel.height, note=_note(selection, notes),
    )  # fmt: skip


def _line(line: lines.Line, owners: Sequence[Line], panel: Panel, *, banded: bool) -> Line:
    owner = owners[line.who]
    several = len(panel.names) > 1
    name = panel.names[line.name].removeprefix("=").strip()
    mean = smoothing.smooth(line.mean, panel.settings.smooth, _amount(panel))
    has_band = banded and bool((line.low != line.high).any())
    return owner.model_copy(
        update={
            "label": f"{owner.label} · {name}" if several else owner.label,
            "dash": DASHES[line.name % len(DASHES)] if several else owner.dash,
            "x": _numbers(line.x, digits=12),
            "y": _numbers(mean),
            "low": _numbers(line.low) if has_band else [],
            "high": _numbers(line.high) if has_band else [],
        }
    )


def _owners(runs: Sequence[Run], by: Mapping[str, Sequence[Run]] | None) -> list[Line]:
    """Return whose the lines are, runs or groups, as lines without points."""
    if by is not None:
        return [
            Line(
                label=f"{label} ({len(members)})", colour=place % COLOURS + 1,
                dash=DASHES[place // COLOURS % len(DASHES)], runs=_ids(members), x=[], y=[],
            )
            for place, (label, members) in enumerate(by.items())
        ]  # fmt: skip
    labels, dashes = compare.labels(runs), compare.dashes(runs)
    return [
        Line(
            label=labels[run.number], colour=colour(run.number), dash=dashes[run.number],
            runs=_ids([run]), x=[], y=[],
        )
        for run in runs
    ]  # fmt: skip


def _kind_of(x: str) -> str:
    return x if x in {lines.RELATIVE, lines.WALL} else "number"


def _amount(panel: Panel) -> float:
    return 0.6 if panel.settings.amount is None else panel.settings.amount


# --- The other kinds --------------------------------------------------------------------------


def _dots(panel: Panel, selection: Selection) -> Chart:
    runs = selection.runs
    labels = compare.labels(runs)
    found = values.of_runs(runs, panel.fields)
    rows = {row["run"]: row["values"] for row in found["rows"]}
    settings = panel.settings
    return Chart(
        kind=panel.kind, title=title_of(panel), fields=[_title(key) for key in panel.fields],
        log_x=bool(settings.log_x), log_y=bool(settings.log_y),
        dots=[
            Dot(
                label=labels[run.number], colour=colour(run.number), runs=_ids([run]),
                values=[_value(value) for value in rows[run.number]],
            )
            for run in runs
        ],
        height=panel.height, note=_note(selection),
    )  # fmt: skip


def _bars(panel: Panel, selection: Selection) -> Chart:
    grouped = bool(panel.settings.group)
    labels = compare.labels(selection.runs)
    ids = {run.number: str(run.pk) for run in selection.runs}
    found = values.bars(selection.runs, panel.fields[0], panel.settings.group or ["number"])
    note = "mean of the runs of a group with its 95 % interval (t)" if grouped else ""
    return Chart(
        kind="bars", title=title_of(panel), fields=[_title(panel.fields[0])],
        bars=[
            Bar(
                label=f"{bar['label']} ({bar['n']})" if grouped else labels[bar["runs"][0]],
                colour=place % COLOURS + 1 if grouped else colour(bar["runs"][0]),
                runs=[ids[number] for number in bar["runs"]], n=bar["n"],
                mean=bar["mean"], low=bar["low"], high=bar["high"],
            )
            for place, bar in enumerate(found)
        ],
        height=panel.height, note=_note(selection, [note]),
    )  # fmt: skip


def _importance(project: Project, panel: Panel, selection: Selection) -> Chart:
    found = values.importances(project, selection.runs, panel.fields[0])
    explained = f"explains {found['explained'] * 100:.0f} % of the variance"
    words = [found["note"], f"{found['method']}, {found['count']} runs, {explained}"]
    return Chart(
        kind="importance", title=title_of(panel), fields=[_title(panel.fields[0])],
        runs=_ids(selection.runs),
        shares=[
            Share(label=row["title"], share=row["share"], trend=row["trend"])
            for row in found["rows"]
        ],
        height=panel.height, note=_note(selection, words),
    )  # fmt: skip


def _ids(runs: Sequence[Run]) -> list[str]:
    return [str(pk) for pk in _keys(runs)]


def _keys(runs: Sequence[Run]) -> list[UUID]:
    return [run.pk for run in runs]


def _title(key: str) -> str:
    found = fields.find(key)
    return found.title if found else key


def _note(selection: Selection, words: Sequence[str] = ()) -> str:
    return " · ".join(filter(None, [*words, selection.note]))


def _value(value: float | str | None) -> float | str | None:
    return float(f"{value:.8g}") if isinstance(value, float) else value


def _numbers(column: Float64, digits: int = 6) -> list[float | None]:
    """Return the values as JSON has them: null for what is not finite, without needless digits."""
    return [
        float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in column.tolist()
    ]
