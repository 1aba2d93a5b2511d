"""The block `runs`: a part of the run table, by its query, columns, order and groups."""

from datetime import UTC, datetime
from typing import Any

from django.urls import reverse

from experiments.models import Project, Run
from experiments.reports import chosen, kinds
from experiments.reports.blocks import BadBlock, NothingThere, Options
from experiments.reports.kinds import Kind, Part, Reading, Shown
from experiments.reports.pieces import Cell, Head, Row, Table
from experiments.run_table import cells, fields, group_table, table
from experiments.run_table.directions import better
from experiments.run_table.fields import Kind as FieldKind
from experiments.run_table.layout import MAX_COLUMNS, MAX_GROUPS, Column, Layout
from experiments.run_table.query import MAX_LENGTH
from experiments.templatetags.figures import NOTHING, setting
from portal.templatetags.words import duration, percent, state_words

MOST_ROWS, USUAL_ROWS = 100, 20


class RunsBlock(Kind):
    name = "runs"
    title = "Table of runs"
    freezes = True
    keys = {
        "title": "what stands above it",
        **chosen.KEYS,
        "columns": "fields of runs: state, config.lr, metric.loss, metric.loss.min",
        "sort": "a field; a minus before it: from the largest down",
        "group": "up to four fields by which runs are put together",
        "rows": f"how many, up to {MOST_ROWS}",
        "frozen": "yes: as it is now, stored with the report",
    }
    example = "```runs\nquery: state:finished\ncolumns: state, metric.loss\nsort: metric.loss\n```"

    def part(self, options: Options, reading: Reading) -> Part:
        layout = _layout(options)
        rows = options.number("rows", USUAL_ROWS, least=1, most=MOST_ROWS)
        read = _groups if layout.groups else _runs
        return Shown([read(options, reading, layout, rows)])


def written(layout: Layout) -> str:
    """Return the block that shows what a layout of the run table shows."""
    lines = [f"query: {layout.text}" if layout.text else ""]
    lines.append("archived: yes" if layout.archived else "")
    if layout.columns:
        keys = (c.key for c in layout.columns if not c.key.startswith("curve."))
        lines.append(f"columns: {', '.join(keys)}")
    lines.append(f"group: {', '.join(layout.groups)}" if layout.groups else "")
    lines.append(f"sort: {layout.sort}" if layout.sort else "")
    return "\n".join(["```runs", *filter(None, lines), "```", ""])


def _layout(options: Options) -> Layout:
    keys = _known(options, "columns", MAX_COLUMNS)
    if drawn := [key for key in keys if key.startswith("curve.")]:
        raise BadBlock(
            f"“{drawn[0]}” is a drawing in the run table; use a chart.", options.line("columns")
        )
    sort = options.text("sort")
    if sort and fields.find(sort.removeprefix("-").partition(":")[0]) is None and sort != "runs":
        raise BadBlock(f"“{sort[:60]}” is no field of runs to sort by.", options.line("sort"))
    return Layout(
        text=_query(options),
        sort=sort,
        columns=tuple(Column(key=key, best=_best(key)) for key in keys),
        groups=tuple(_known(options, "group", MAX_GROUPS)),
        # What is named by its number is shown wherever it stands.
        archived=options.flag("archived") or "runs" in options,
        page_size=100,
    )


def _query(options: Options) -> str:
    """Return the query that finds the runs; numbers are one too."""
    found = chosen.named(options)
    text = options.text("query")
    if not found:
        return text
    if text:
        raise BadBlock("Say which runs by “query” or by “runs”, not by both.", options.line("runs"))
    written = f"number in ({', '.join(map(str, found))})"
    if len(written) > MAX_LENGTH:
        raise BadBlock("These are too many numbers: write a query.", options.line("runs"))
    return written


def _known(options: Options, name: str, most: int) -> list[str]:
    keys = options.listed(name)
    for key in keys:
        if fields.find(key) is None:
            raise BadBlock(
                f"“{key[:60]}” is no field of runs. Write it as in the address of the run table: "
                "state, config.lr, metric.loss, metric.loss.min.",
                options.line(name),
            )
    if len(keys) > most:
        raise BadBlock(f"“{name}” takes at most {most} fields.", options.line(name))
    return keys


def _best(key: str) -> str:
    return better(key) if key.startswith("metric.") else ""


# --- Rows -------------------------------------------------------------------------------------


def _runs(options: Options, reading: Reading, layout: Layout, rows: int) -> Table:
    read = table.read(user=reading.user, project=reading.project, layout=layout)
    if read.error:
        raise BadBlock(str(read.error), options.line("query"))
    if not read.rows:
        raise NothingThere("No run fits this query.", options.line("query"))
    return Table(
        title=options.text("title"),
        url=_address(reading.project, layout),
        heads=[Head(title=head.title, number=head.number) for head in read.heads],
        rows=[_row(row) for row in read.rows[:rows]],
        note=_note(min(rows, len(read.rows)), read.count, "runs"),
    )


def _row(row: table.RunRow) -> Row:
    run = row.run
    name = Cell(text=f"{run.number} {run.name}", url=run.get_absolute_url())
    rest = [Cell(text=_text(run, cell), best=cell.best) for cell in row.cells]
    return Row(cells=[name, *rest], runs=[str(run.pk)])


def _groups(options: Options, reading: Reading, layout: Layout, rows: int) -> Table:
    read = group_table.read(user=reading.user, project=reading.project, layout=layout)
    if read.error:
        raise BadBlock(str(read.error), options.line("query"))
    if not read.rows:
        raise NothingThere("No run fits this query.", options.line("query"))
    shown = read.rows[:rows]
    ids = _ids(reading.project, {number for row in shown for number in row.members})
    return Table(
        title=options.text("title"),
        url=_address(reading.project, layout),
        heads=[Head(title=head.title, number=head.number) for head in read.heads],
        rows=[_group(row, ids) for row in shown],
        note=_note(len(shown), read.groups.total if read.groups else len(shown), "groups")
        or "Mean ± sample standard deviation.",
    )


def _group(row: group_table.GroupRow, ids: dict[int, str]) -> Row:
    values = [Cell(text=_group_words(field, value)) for field, value in row.values]
    figures = [Cell(text=_figure(figure), best=figure.leads) for figure in row.figures]
    return Row(
        cells=[*values, Cell(text=f"{row.runs:,}"), *figures],
        runs=[ids[number] for number in row.members if number in ids],
    )


def _group_words(field: fields.Field, value: Any) -> str:
    return state_words(value) if field.key == "state" else _words(field.kind, value, "")


def _figure(figure: group_table.Figure) -> str:
    summary = figure.summary
    if summary.mean is None:
        return NOTHING
    mean = _words(figure.kind, summary.mean, figure.column.format)
    if summary.spread is None:
        return mean
    return f"{mean} ± {_words(figure.kind, summary.spread, figure.column.format)}"


def _ids(project: Project, numbers: set[int]) -> dict[int, str]:
    rows = Run.objects.filter(project=project, number__in=numbers).values_list("number", "pk")
    return {number: str(pk) for number, pk in rows}


def _note(shown: int, found: int, what: str) -> str:
    return f"Shown are {shown:,} of {found:,} {what}." if found > shown else ""


def _address(project: Project, layout: Layout) -> str:
    return f"{reverse('experiments:runs', args=[project.slug])}?{layout.address()}"


# --- Words ------------------------------------------------------------------------------------


def _text(run: Run, cell: table.Cell) -> str:
    """Return a cell as words that stay true: a time is a moment, not how long ago."""
    match cell.key:
        case "state":
            return state_words(run)
        case "owner":
            return run.submitted_by.display_name
        case "recipe":
            return run.recipe or "script"
        case "progress":
            return percent(run.progress)
    return _words(cell.head.field.kind, cell.value, cell.head.column.format)


def _words(kind: FieldKind, value: Any, chosen_format: Any) -> str:
    match value:
        case None:
            return NOTHING
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case list() | tuple():
            return ", ".join(map(str, value)) or NOTHING
        case bool():
            return setting(value)
        case int() | float():
            is_time = kind == FieldKind.DURATION
            return duration(value) if is_time else cells.formatted(value, chosen_format)
    return setting(value)[: cells.LONGEST]


kinds.register(RunsBlock())
