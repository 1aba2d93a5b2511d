"""Numbers of runs: they count within the project, and are written as "1-20, 25"."""

import re
from collections.abc import Collection

from django.db.models import Max

from experiments.models import Project, Run

RANGE = re.compile(r"([0-9]{1,9})(?:\s*[-\u2013]\s*([0-9]{1,9}))?")
# Of one list.
MOST = 20_000


class BadNumbers(ValueError):
    """This is no list of numbers; the message says where it stops being one."""

    code = "bad_numbers"


def next_number(project: Project) -> int:
    """Return the next number. Inside a transaction: its lock gives two runs two numbers."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    last = Run.objects.filter(project=project).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def read_numbers(text: str) -> list[int]:
    """Return the numbers of "1-20, 25", in order and each once. Raises BadNumbers."""
    numbers: set[int] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = RANGE.fullmatch(part)
        if match is None:
            raise BadNumbers(f"“{part[:40]}” is no number of a run. Write them like 1-20, 25.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= MOST or len(numbers) > MOST:
            raise BadNumbers(f"More than {MOST:,} runs at once; take fewer.")
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def as_ranges(numbers: Collection[int]) -> str:
    """Write the numbers as short as they go: "1-20, 25"."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
