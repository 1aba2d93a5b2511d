"""The query line of the run table: `state:failed metric.loss<0.1 config.seed=3 -owner:ada`.

Terms are separated by spaces and all must hold. A term is a word (part of the name), or a
subject, an operator and a value; after `:` there may be several values between commas, of
which one must hold. A minus before a term negates it. Quotes keep spaces together:
`name:"first try"`, `metric."val loss"<1`.

    state:failed,cancelled   also open (not ended yet) and ended
    recipe: dataset: tag: owner: name:    owner by user name, name and dataset by a part
    run:3,5                  numbers in the project
    queued>2026-11-01        day in UTC; also started, ended
    config.learning_rate=0.002   = != < <= > >=, and : for a part of a text
    metric.loss<0.1          the last value; metric.loss.min and .max for the extremes, =nan for
                             what is not finite
"""

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Cast

from experiments.models import Run, RunTag, Series
from experiments.run_table import setting_paths
from portal.inputs.text import clean_line, matching

MAX_LENGTH = 500
MAX_TERMS = 20
KNOWN = ("state", "recipe", "dataset", "tag", "owner", "name", "run", "queued", "started", "ended")
EXTREMES = {"min": "minimum", "max": "maximum", "last": "last", "count": "count"}
NOT_FINITE = {"nan", "inf", "infinity"}
COMPARISONS = {"=": "exact", ":": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
TERM = re.compile(
    r"""\s*(?P<minus>-?)
    (?P<subject>(?:"[^"]*"|[^\s"<>=!:]|!(?!=))+)
    (?:\s*(?P<operator>!=|<=|>=|:|=|<|>)\s*(?P<value>(?:"[^"]*"|[^\s"])*))?""",
    re.VERBOSE,
)


class BadQuery(ValueError):
    """The query line cannot be read; the message is a sentence for the person who wrote it."""

    code = "bad_query"


@dataclass(frozen=True)
class Term:
    negated: bool
    subject: str
    operator: str
    value: str
    quoted: bool

    @property
    def values(self) -> list[str]:
        """The alternatives between commas; a quoted value is a single one."""
        return [self.value] if self.quoted else [v for v in self.value.split(",") if v]


def parse(text: str) -> list[Term]:
    """Return the terms of a query line; raise BadQuery if it cannot be read."""
    text = text.replace("\0", " ").strip()
    if len(text) > MAX_LENGTH:
        raise BadQuery(f"The query is {len(text):,} characters long; at most {MAX_LENGTH} go.")
    if text.count('"') % 2:
        raise BadQuery("A quotation mark is opened and never closed.")
    terms, position = [], 0
    while position < len(text):
        match = TERM.match(text, position)
        if match is None:
            raise BadQuery(f"“{text[position : position + 20]}” has nothing before it to compare.")
        terms.append(_term(match))
        position = match.end()
        while position < len(text) and text[position].isspace():
            position += 1
    if len(terms) > MAX_TERMS:
        raise BadQuery(f"The query has {len(terms)} terms; at most {MAX_TERMS} go.")
    return terms


def _term(match: re.Match[str]) -> Term:
    subject = match["subject"].replace('"', "")
    operator, raw = match["operator"] or "", match["value"] or ""
    value = raw.replace('"', "")
    if operator and not value.strip():
        raise BadQuery(f"Nothing stands after “{subject}{operator}”.")
    if not operator:
        subject, operator, value = "name", ":", subject
    quoted = raw.startswith('"') or not match["operator"]
    return Term(bool(match["minus"]), subject, operator, value, quoted)


def apply(rows: QuerySet[Run], text: str) -> QuerySet[Run]:
    """Return the runs for which every term of the query holds; raise BadQuery."""
    for number, term in enumerate(parse(text)):
        aliases, condition = _condition(term, f"term_{number}")
        if aliases:
            rows = rows.alias(**aliases)
        rows = rows.exclude(condition) if term.negated else rows.filter(condition)
    return rows


def _condition(term: Term, alias: str) -> tuple[dict[str, object], Q]:
    """Return what to compute for each row under the name `alias`, and the condition on it."""
    kind, _, name = term.subject.partition(".")
    if kind == "metric" and name:
        return {}, _metric(term, name)
    if kind == "config" and name:
        return _config(term, name, alias)
    if term.subject not in KNOWN:
        matches = difflib.get_close_matches(term.subject, KNOWN, n=1)
        hint = f" Did you mean “{matches[0]}”?" if matches else ""
        raise BadQuery(
            f"Runs have no “{term.subject[:40]}”.{hint} "
            f"Known are {', '.join(KNOWN)}, config.name and metric.name."
        )
    return {}, FIELDS[term.subject](term)


def _any(term: Term, make: Callable[[str], Q]) -> Q:
    """Match one of the values; `!=` negates that."""
    if term.operator not in {":", "=", "!="}:
        raise BadQuery(f"“{term.subject}” is compared with : or =, not with {term.operator}.")
    condition = Q(pk__in=[])
    for value in term.values:
        condition |= make(value)
    return ~condition if term.operator == "!=" else condition


def _state(term: Term) -> Q:
    states = {state.value: {state.value} for state in Run.State}
    states |= {"open": {s.value for s in Run.OPEN_STATES}, "waiting": {Run.State.QUEUED.value}}
    states["ended"] = {state.value for state in Run.State} - states["open"]

    def one(value: str) -> Q:
        if value.lower() not in states:
            raise BadQuery(f"“{value[:40]}” is not a state. States are {', '.join(states)}.")
        return Q(state__in=sorted(states[value.lower()]))

    return _any(term, one)


def _number(term: Term) -> Q:
    def one(value: str) -> Q:
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise BadQuery(f"“{value[:40]}” is not the number of a run.")
        return Q(number=int(value))

    return _any(term, one)


def _tag(value: str) -> Q:
    same = RunTag.objects.filter(run=OuterRef("pk"), key=clean_line(value).casefold())
    return Q(Exists(same))


def _day(term: Term) -> Q:
    field = f"{term.subject}_at"
    try:
        start = datetime.combine(date.fromisoformat(term.value), time(), tzinfo=UTC)
        end = start + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadQuery(f"“{term.value[:40]}” is not a day; write it like 2026-11-21.") from None
    match term.operator:
        case "<":
            return Q(**{f"{field}__lt": start})
        case "<=":
            return Q(**{f"{field}__lt": end})
        case ">":
            return Q(**{f"{field}__gte": end})
        case ">=":
            return Q(**{f"{field}__gte": start})
    inside = Q(**{f"{field}__gte": start, f"{field}__lt": end})
    return ~inside if term.operator == "!=" else inside


def _metric(term: Term, name: str) -> Q:
    value = number_of(term.value)
    not_finite = term.value.lower().lstrip("+-") in NOT_FINITE
    if value is None and not (not_finite and term.operator in {":", "=", "!="}):
        raise BadQuery(
            f"“{term.subject}” is compared with a number (nan too, by =), not with "
            f"“{term.value[:40]}”."
        )
    stem, field = extreme_of(name)
    own = Series.objects.filter(run=OuterRef("pk"), name=name)
    condition = _of_summary(own, "last", term.operator, value)
    if field == "last":
        return condition
    # `loss.min` is the least loss, unless the run has a metric of that very name.
    least = Series.objects.filter(run=OuterRef("pk"), name=stem)
    return condition | (~Q(Exists(own)) & _of_summary(least, field, term.operator, value))


def extreme_of(name: str) -> tuple[str, str]:
    """Return a metric and the column of its summary: `loss.min` -> ("loss", "minimum")."""
    stem, _, ending = name.rpartition(".")
    return (stem, EXTREMES[ending]) if stem and ending in EXTREMES else (name, "last")


def _of_summary(
    series: QuerySet[Series], field: str, operator: str, value: float | int | None
) -> Q:
    """Return the condition on a column of a summary, which is null where it is not finite."""
    if value is None:
        series = (
            series.exclude(**{field: None}) if "!" in operator else series.filter(**{field: None})
        )
        return Q(Exists(series))
    if operator == "!=":
        return Q(Exists(series.exclude(**{field: value}).exclude(**{field: None})))
    return Q(Exists(series.filter(**{f"{field}__{COMPARISONS[operator]}": value})))


def _config(term: Term, name: str, alias: str) -> tuple[dict[str, object], Q]:
    """Return the condition on a setting, in whichever way a run has it under this name."""
    ways = setting_paths.readings(name)
    if not ways:
        raise BadQuery(f"“{term.subject[:60]}” names no setting.")
    aliases: dict[str, object] = {}
    conditions, earlier = Q(pk__in=[]), Q()
    for number, keys in enumerate(ways):
        own = f"{alias}_{number}"
        aliases |= {
            own: setting_paths.value_of(keys),
            f"{own}_text": Cast(setting_paths.text_of(keys), CharField()),
            f"{own}_type": setting_paths.TypeOf(keys),
        }
        # What is not there has to make the condition false, not unknown: it may be negated.
        there = Q(**{f"{own}__isnull": False})
        conditions |= earlier & there & _comparison(term, own)
        earlier &= ~there
    return aliases, conditions


def _comparison(term: Term, alias: str) -> Q:
    if term.operator == ":":
        condition = Q(pk__in=[])
        for value in term.values:
            condition |= Q(**{f"{alias}_text__icontains": value})
        return condition
    if term.operator in {"=", "!="}:
        expected = term.value if term.quoted else _json_value(term.value)
        equal = Q(**{f"{alias}_type__in": setting_paths.types(expected), alias: expected})
        return ~equal if "!" in term.operator else equal
    number = number_of(term.value)
    if number is None:
        raise BadQuery(f"“{term.subject}” is compared with a number, not with “{term.value[:40]}”.")
    # Databases order texts after numbers; only numbers are meant here.
    numbers = Q(**{f"{alias}__gte": -1e308, f"{alias}__lte": 1e308})
    return numbers & Q(**{f"{alias}__{COMPARISONS[term.operator]}": number})


def number_of(text: str) -> float | int | None:
    """Parse a finite number; None if the text is anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _json_value(text: str) -> object:
    if text in {"true", "false"}:
        return text == "true"
    if text == "null":
        return None
    number = number_of(text)
    return text if number is None else number


FIELDS: dict[str, Callable[[Term], Q]] = {
    "state": _state,
    "recipe": lambda term: _any(term, lambda v: Q(recipe__iexact=v)),
    "dataset": lambda term: _any(term, lambda v: matching(v, "dataset__name")),
    "owner": lambda term: _any(term, lambda v: Q(submitted_by__username__iexact=v)),
    "name": lambda term: _any(term, lambda v: matching(v, "name")),
    "run": _number,
    "tag": lambda term: _any(term, _tag),
    "queued": _day,
    "started": _day,
    "ended": _day,
}
