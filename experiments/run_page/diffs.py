"""A diff as git writes it, cut into files and lines that a page can colour."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["added", "removed", "place", "same"]
# Lines of a diff that a page shows; all of it can be downloaded.
MAX_LINES = 2_000


@dataclass
class FileDiff:
    """The changes in one file. `notes` is what git says of it beside its lines."""

    name: str
    added: int = 0
    removed: int = 0
    notes: list[str] = field(default_factory=list)
    lines: list[tuple[Kind, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """The files of a diff, their lines up to MAX_LINES, and how many lines are not among them."""

    files: list[FileDiff]
    left_out: int


def read(text: str, *, most: int = MAX_LINES) -> Shown:
    """Return the files of a diff; whatever the text is, it is only text."""
    files: list[FileDiff] = []
    shown = left_out = 0
    for current, kind, line in _walk(text, files):
        current.added += kind == "added"
        current.removed += kind == "removed"
        if shown < most:
            current.lines.append((kind, line))
            shown += 1
        else:
            left_out += 1
    return Shown(files, left_out)


def _walk(text: str, files: list[FileDiff]) -> Iterator[tuple[FileDiff, Kind, str]]:
    """Yield the lines of each file with their kind; adds the files to `files` as they come."""
    in_hunk = False
    for line in text.removesuffix("\n").split("\n") if text else []:
        if line.startswith("diff --git ") or not files:
            files.append(FileDiff(_name(line)))
            in_hunk = False
            if line.startswith("diff --git "):
                continue
        current = files[-1]
        if line.startswith("@@"):
            in_hunk = True
            yield current, "place", line
        elif in_hunk:
            yield current, _kind(line), line
        elif not line.startswith(("index ", "--- ", "+++ ")):
            current.notes.append(line[:200])


def _kind(line: str) -> Kind:
    if line.startswith("+"):
        return "added"
    return "removed" if line.startswith("-") else "same"


def _name(line: str) -> str:
    """Return the file's name after the change: "diff --git a/x.py b/x.py" is of x.py."""
    halves = line.removeprefix("diff --git ").strip('"').rpartition(" b/")
    return (halves[2] or halves[0])[:300]
