"""What may stand at the cursor of a query line: names of fields, their values, words between terms.

Names are those of the catalogue. Values are counted among the newest runs, so that a keystroke
costs the same in a project of any size.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from experiments.models import Project, Run
from experiments.run_table import fields
from experiments.run_table.fields import Field, Kind, Offer
from experiments.run_table.fields.built_in import SettingField
from experiments.run_table.fields.metrics import SUMMARY, MetricField
from experiments.run_table.query import names, writing
from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.literals import STATES
from experiments.run_table.query.parser import MAX_LENGTH
from experiments.run_table.query.scanner import Scanner
from portal.models import User

# Runs whose values are counted, and what is offered at once.
COUNTED = 2_000
MOST = 40
LONGEST = 80

# The piece that is being typed, where no quotation mark is open: a name, or a value.
NAME = re.compile(r"""(?:[^\s"'()\[\],<>=!:]|\[(?:"[^"]*"|'[^']*')\])*$""")
VALUE = re.compile(r"""[^\s"'()\[\],<>=!:]*$""")
TAIL = re.compile(r"""[^\s"'()\[\],<>=!:]*["']?\]?""")
COMPARED = re.compile(r"(?:==|!=|<=|>=|<|>|=|:|\bmatches\b|\bis(?:\s+not)?\b)\s*$")
LISTED = re.compile(r"""\bin\s*[(\[](?:[^()\[\]]*,)?\s*$""")
# `state:failed,canc`: the last of several values is the one that is typed.
ALTERNATIVE = re.compile(r""":[^\s"'()]*,$""")
OPEN_ENDED = re.compile(r"(?:(?:^|\s)(?:and|or|not|in|is|matches)|[-(,:<>=])$")
# A text and `in`: what follows is where it is looked for.
WITHIN = re.compile(r"\bin\s+$")
JOINING = ("and", "or")
TIMES = ("today", "now-1h", "now-1d", "now-7d", "now-30d")
DURATIONS = ("1m", "10m", "1h", "6h", "1d")


@dataclass(frozen=True)
class Option:
    """What may be inserted, and beside it what it is or how many runs have it."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Completion:
    """The characters from `start` to `end` may become one of the options."""

    start: int
    end: int
    options: list[Option]


def complete(*, user: User, project: Project, text: str, at: int) -> Completion:
    """Return what fits at the cursor, what is likeliest first; nothing where nothing is known."""
    text = text[:MAX_LENGTH]
    at = min(max(at, 0), len(text))
    before, end = text[:at], at + _tail(text[at:])
    runs: QuerySet[Run] = Run.objects.visible_to(user).filter(project=project)
    start = _start(before, VALUE)
    if (field := _compared(before[:start])) is not None:
        return Completion(start, end, _ranked(_values(runs, field), before[start:]))
    within = WITHIN.search(before[:start]) is not None
    if _opened(before) == start and not within and not _is_name(before, start):
        tags = [
            Option(f"{tag.text} in run.tags", tag.detail)
            for tag in _values(runs, fields.find("tags"))
        ]
        return Completion(start, end, _ranked(tags, before[start:]))
    start = _start(before, NAME)
    if start == at and _is_whole(before):
        return Completion(at, at, [Option(word) for word in JOINING])
    options = _names(fields.catalogue(project), before[start:], lists=within)
    return Completion(start, end, _ranked(options, before[start:]))


def _opened(before: str) -> int | None:
    """Return where the quotation mark stands that is not closed yet; None if none is open."""
    opened: int | None = None
    for place, sign in enumerate(before):
        if opened is None:
            # Inside of a word it is an apostrophe.
            if sign == '"' or (sign == "'" and not before[place - 1 : place].isalnum()):
                opened = place
        elif sign == before[opened]:
            opened = None
    return opened


def _is_name(before: str, opened: int) -> bool:
    """Return whether the text in quotes is a part of a name: metrics["lo."""
    return before[max(opened - 1, 0) : opened] in {"[", "."}


def _start(before: str, pattern: re.Pattern[str]) -> int:
    """Return where the piece begins that ends at the cursor."""
    opened = _opened(before)
    if opened is not None and not _is_name(before, opened):
        return opened
    # The opened bracket of a name belongs to the name.
    end = len(before) if opened is None else opened - (before[opened - 1] == "[")
    match = pattern.search(before[:end])
    return match.start() if match and (opened is None or pattern is NAME) else end


def _tail(rest: str) -> int:
    """Return how much of what stands after the cursor belongs to the piece before it."""
    match = TAIL.match(rest)
    return match.end() if match else 0


def _compared(head: str) -> Field | None:
    """Return the field whose value comes next; None if something else does."""
    sign = COMPARED.search(head) or LISTED.search(head) or ALTERNATIVE.search(head)
    if sign is None:
        return None
    return _field_before(re.sub(r"\bnot\s*$", "", head[: sign.start()]).rstrip())


def _field_before(left: str) -> Field | None:
    """Return the field whose name ends here; None if none does."""
    for begin in _beginnings(left):
        scan = Scanner(left[begin:])
        try:
            path = scan.path()
            if path is not None and scan.at_end:
                return names.field_of(path)
        except BadQuery:
            continue
    return None


def _beginnings(left: str) -> Iterator[int]:
    """Yield where a name may begin, the longest name first."""
    place = len(left)
    for match in reversed(list(re.finditer(r"(?:^|[\s(])-?", left))[-6:]):
        place = match.end()
        yield place


def _is_whole(before: str) -> bool:
    """Return whether a whole term stands before the cursor, so that a word may join the next."""
    left = before.rstrip()
    return bool(left) and left != before and OPEN_ENDED.search(left) is None


# --- Values ---------------------------------------------------------------------------------------


def _values(runs: QuerySet[Run], field: Field | None) -> list[Option]:
    """Return the values of a field, those that most of the newest runs have first."""
    if field is None:
        return []
    if isinstance(field, MetricField):
        return [Option("nan", "not finite")]
    if field.kind == Kind.TIME:
        return [Option(word) for word in TIMES]
    if field.kind == Kind.DURATION:
        return [Option(word) for word in DURATIONS]
    if field.key == "state":
        counts = Counter(runs.order_by("-queued_at")[:COUNTED].values_list("state", flat=True))
        found = {word: sum(counts[state] for state in of) for word, of in STATES.items()}
        # The states themselves come before the words for several of them.
        words = sorted(found, key=lambda word: (word not in Run.State, -found[word]))
        return [Option(word, _count(found[word])) for word in words]
    counted = _counted(runs, field)
    return [
        Option(written, _count(count))
        for value, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        if len(written := _written(value)) <= LONGEST
    ]


def _counted(runs: QuerySet[Run], field: Field) -> Counter[str]:
    """Count the values as JSON, so that 1 and true are two."""
    runs, expression = field.grouped(runs, "counted")
    newest = runs.annotate(value=expression).order_by("-queued_at")[:COUNTED]
    counted: Counter[str] = Counter()
    for value in newest.values_list("value", flat=True):
        if value is None:
            continue
        if field.kind == Kind.LIST:
            counted.update(json.dumps(item) for item in json.loads(value))
        elif isinstance(field, SettingField):
            counted[value] += 1
        else:
            counted[json.dumps(value, default=str)] += 1
    return counted


def _written(text: str) -> str:
    """Return a value as the query line has it, too long a one if it cannot be written."""
    value: Any = json.loads(text)
    if isinstance(value, list | dict):
        return " " * (LONGEST + 1)
    return writing.quoted(value) if isinstance(value, str) else repr(value)


def _count(runs: int) -> str:
    return f"{runs:,} run{'' if runs == 1 else 's'}"


# --- Names ----------------------------------------------------------------------------------------


def _names(offers: Iterable[Offer], piece: str, *, lists: bool) -> list[Option]:
    head, _, ending = piece.rpartition(".")
    metric = fields.find(head.replace("metrics.", "metric.", 1)) if head else None
    if isinstance(metric, MetricField) and any(name.startswith(ending) for name in SUMMARY):
        return [Option(f"{head}.{name}", "of its summary") for name in SUMMARY]
    prefix = piece.partition(".")[0] if "." in piece else ""
    options = [Option(_spelled(offer.key, prefix), _kind(offer)) for offer in offers]
    if lists:
        return options
    return options + [Option(f"run.{flag}", "a state") for flag in sorted(names.FLAGS)]


def _spelled(key: str, prefix: str) -> str:
    """Return the name of a field in the spelling that was begun: `config.lr`, else `run.lr`."""
    if prefix == "config" or (prefix == "metric" and writing.PLAIN.fullmatch(key)):
        return key
    return writing.name(key)


def _kind(offer: Offer) -> str:
    if offer.field.group == "setting":
        return "setting" if offer.varies else "setting, the same everywhere"
    return offer.field.group if offer.field.group != "run" else offer.title


def _ranked(options: Iterable[Option], piece: str) -> list[Option]:
    """Return those that begin with what was typed, then those that have it somewhere."""
    typed = re.sub(r"""\[["']""", ".", piece).strip("\"'").lower()
    scored = []
    for place, option in enumerate(options):
        text = option.text.lower()
        bare = text.strip("\"'")
        last = text.removeprefix("run.").removeprefix("metrics.").removeprefix("config.")
        if bare.startswith(typed) or last.startswith(typed):
            scored.append((0, place, option))
        elif typed in text or all(part in text for part in typed.split(".")):
            scored.append((1, place, option))
    scored.sort(key=lambda entry: entry[:2])
    return [option for _, _, option in scored[:MOST]]
