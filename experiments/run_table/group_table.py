"""The run table in groups: which columns, which rows, and where each leads."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from experiments.models import Project
from experiments.run_table import fields, grouping, query, table
from experiments.run_table.directions import better
from experiments.run_table.fields import Field, Kind, Offer
from experiments.run_table.grouping import Groups, Summary
from experiments.run_table.layout import Column, Layout
from experiments.run_table.links import Links
from portal.models import User


@dataclass(frozen=True)
class GroupHead:
    """The head of a column of groups; `sort` is the address that sorts by it."""

    title: str
    sort: str
    direction: str
    number: bool


@dataclass(frozen=True)
class Figure:
    """A number over the runs of a group. `leads` where its mean is the best of all groups shown and
    no other group's mean lies within the standard errors of both."""

    column: Column
    title: str
    kind: Kind
    runs: int
    summary: Summary
    leads: bool = False


@dataclass(frozen=True)
class GroupRow:
    values: list[tuple[Field, Any]]
    runs: int
    figures: list[Figure]
    address: str
    members: list[int]


@dataclass
class GroupTable:
    """One page of groups; `error` is what is wrong with the query."""

    project: Project
    layout: Layout
    columns: tuple[Column, ...]
    heads: list[GroupHead]
    rows: list[GroupRow]
    groups: Groups | None = None
    error: query.BadQuery | None = None

    @cached_property
    def offered(self) -> list[Offer]:
        """The fields of the runs, which are looked up only where they are shown."""
        return fields.catalogue(self.project)


def read(
    *, user: User, project: Project, layout: Layout, page: int = 1, view: int | None = None
) -> GroupTable:
    """Return the page of groups that a layout asks for."""
    chosen = layout.columns or table.usual_columns(fields.catalogue(project))
    columns = [*_numbers(chosen, layout.groups)]
    links = Links(layout, view)
    result = GroupTable(project, layout, chosen, _heads(links, columns), [])
    try:
        runs = table.find(user=user, project=project, layout=layout)
    except query.BadQuery as error:
        result.error = error
        return result
    result.groups = grouping.read(
        runs=runs,
        by=layout.groups,
        numbers=[column.key for column in columns],
        sort=layout.sort,
        page=page,
        size=layout.page_size,
        directions={column.key: column.best for column in columns if column.best},
    )
    known = [field for key in result.groups.keys if (field := fields.find(key))]
    result.rows = _with_leaders(
        [
            GroupRow(
                values=list(zip(known, group.values, strict=True)),
                runs=group.runs,
                figures=[
                    Figure(column, f.title, f.kind, group.runs, group.summaries[column.key])
                    for column in columns
                    if (f := fields.find(column.key))
                ],
                address=links.narrowed(group.query),
                members=group.members,
            )
            for group in result.groups.groups
        ]
    )
    return result


def _numbers(columns: Iterable[Column], groups: Sequence[str]) -> list[Column]:
    """Return the columns that are numbers: those have a mean."""
    kinds = {column.key: fields.find(column.key) for column in columns}
    return [
        column
        for column in columns
        if (field := kinds[column.key])
        and column.key not in groups
        and (field.is_number or (field.kind == Kind.ANY and column.best))
    ][: grouping.MAX_NUMBERS]


def _heads(links: Links, columns: Sequence[Column]) -> list[GroupHead]:
    titles = [(key, f.title) for key in links.layout.groups if (f := fields.find(key))]
    heads = [_head(links, key, title, number=False) for key, title in titles]
    heads.append(_head(links, "runs", "Runs", number=True))
    for column in columns:
        if found := fields.find(column.key):
            descends = (column.best or better(column.key)) == "max"
            heads.append(
                _head(links, f"{column.key}:mean", found.title, number=True, descends=descends)
            )
    return heads


def _head(links: Links, key: str, title: str, *, number: bool, descends: bool = True) -> GroupHead:
    sort = links.layout.sort
    current = sort.removeprefix("-") == key
    direction = ("descending" if sort.startswith("-") else "ascending") if current else ""
    address = links.sorted_by(key, descends=number and descends)
    return GroupHead(title, f"?{address}", direction, number)


def _with_leaders(rows: list[GroupRow]) -> list[GroupRow]:
    """Mark in each column the group whose mean is best, where that is no accident of few runs."""
    for place in range(len(rows[0].figures) if rows else 0):
        column = [row.figures[place] for row in rows]
        if (leader := _leader(column)) is not None:
            rows[leader].figures[place] = replace(column[leader], leads=True)
    return rows


def _leader(figures: Sequence[Figure]) -> int | None:
    """Return the place of the figure that leads, None where no group clearly does.

    A mean leads where the next best is farther away than twice the standard error of the
    difference (Welch), so groups of one run never do.
    """
    measured = [(place, f.summary) for place, f in enumerate(figures) if f.summary.mean is not None]
    if len(measured) < 2:
        return None
    sign = 1 if (figures[0].column.best or better(figures[0].column.key)) == "min" else -1
    measured.sort(key=lambda pair: sign * (pair[1].mean or 0.0))
    place, best = measured[0]
    apart = all(_is_apart(best, other) for _, other in measured[1:])
    return place if apart else None


def _is_apart(one: Summary, other: Summary) -> bool:
    if one.spread is None or other.spread is None or one.mean is None or other.mean is None:
        return False
    error = math.sqrt(one.spread**2 / one.n + other.spread**2 / other.n)
    return abs(one.mean - other.mean) > 2 * error
