"""The changes of what is said of a run, as people read them: line by line."""

import difflib
from dataclasses import dataclass, field

from experiments.models import Run, RunEdit
from experiments.runs import describing

SHOWN = 200
# Lines of a long text beside a change.
AROUND = 2


@dataclass(frozen=True)
class Line:
    """A line of a text: `mark` is +, - or empty for one that stays; "…" where some are left out."""

    mark: str
    text: str


@dataclass(frozen=True)
class FieldChange:
    name: str
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    edit: RunEdit
    fields: list[FieldChange]
    undoable: bool


def changes(run: Run) -> list[Change]:
    """Return the newest changes of a run, newest first."""
    rows = run.edits.select_related("by", "undoes")[:SHOWN]
    return [
        Change(
            edit,
            [
                FieldChange(name, lines(edit.before.get(name), after))
                for name, after in edit.after.items()
            ],
            undoable=bool(set(edit.after) & set(describing.FIELDS)),
        )
        for edit in rows
    ]


def lines(before: object, after: object) -> list[Line]:
    """Return how one value differs from another: a text by lines, a list of tags by tags."""
    old, new = _as_lines(before), _as_lines(after)
    found: list[Line] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(
        AROUND
    ):
        if found:
            found.append(Line("…", ""))
        for tag, start, end, new_start, new_end in group:
            if tag == "equal":
                found += [Line("", text) for text in old[start:end]]
                continue
            found += [Line("-", text) for text in old[start:end]]
            found += [Line("+", text) for text in new[new_start:new_end]]
    return found


def _as_lines(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return str(value).split("\n") if value else []
