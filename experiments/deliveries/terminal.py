"""One line of a console as a terminal shows it: colours, and what was written over.

A progress bar returns to the start of its line and writes again; what it wrote before stays where
the new text is shorter. Movements to other lines are left out: a log has no screen.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# Of a line that is longer, the end.
LONGEST = 20_000
TOKEN = re.compile(
    r"\x1b\[(?P<numbers>[0-9;:]*)[ -/]*(?P<command>[@-~])"  # CSI, with numbers
    r"|\x1b\[[0-?]*[ -/]*(?:[@-~]|$)"  # CSI of other kinds, or cut off
    r"|\x1b[\]P^_X].*?(?:\x07|\x1b\\|$)"  # titles, links
    r"|\x1b[ -/]*[0-~]?"  # other escapes
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
)
SPECIAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# The eight colours of a terminal, for the nearest one of 256 or 16 million.
EIGHT = [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205),
         (0, 205, 205), (229, 229, 229)]  # fmt: skip
# SGR codes that switch a look on, and those that switch it off.
ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "struck"}
OFF = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}, 27: {"inverse"}, 29: {"struck"}}


class Style(NamedTuple):
    """How a character looks: classes of the style sheet."""

    colour: str = ""
    ground: str = ""
    looks: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        return " ".join(filter(None, [self.colour, self.ground, *sorted(self.looks)]))


PLAIN = Style()
Cell = tuple[str, Style]


def as_html(line: str) -> SafeString:
    """Return the line as HTML that is safe to show."""
    if not SPECIAL.search(line):
        return escape(line)
    parts = []
    for style, cells in groupby(_cells(line), key=lambda cell: cell[1]):
        text = escape("".join(character for character, _ in cells))
        parts.append(f'<span class="{style.classes}">{text}</span>' if style != PLAIN else text)
    return mark_safe("".join(parts))  # noqa: S308 - each part is escaped, classes are ours.


def has_escapes(text: str) -> bool:
    """Return whether a terminal would show anything but these very characters."""
    return SPECIAL.search(text) is not None


def as_text(line: str) -> str:
    """Return the characters that the line shows."""
    # The first question is far quicker, and answers it for almost every line.
    if line.isprintable() or not SPECIAL.search(line):
        return line
    return "".join(character for character, _ in _cells(line))


def _cells(line: str) -> list[Cell]:
    cells: list[Cell] = []
    column, style = 0, PLAIN
    for match in TOKEN.finditer(line[-LONGEST:]):
        if text := match["text"]:
            _blank_up_to(cells, column)
            cells[column : column + len(text)] = [(character, style) for character in text]
            column += len(text)
        elif control := match["control"]:
            column = _after_control(control, cells, column, style)
        elif match["command"] == "m":
            style = _restyled(style, _numbers(match["numbers"]))
        elif match["command"]:
            column = _after_command(match["command"], _numbers(match["numbers"]), cells, column)
    return cells


def _blank_up_to(cells: list[Cell], column: int) -> None:
    cells += [(" ", PLAIN)] * (column - len(cells))


def _after_control(control: str, cells: list[Cell], column: int, style: Style) -> int:
    if control == "\r":
        return 0
    if control == "\b":
        return max(0, column - 1)
    if control == "\t":
        _blank_up_to(cells, column)
        cells[column : column + 1] = [("\t", style)]
        return column + 1
    return column


def _after_command(command: str, numbers: list[int], cells: list[Cell], column: int) -> int:
    first = numbers[0] if numbers else 0
    match command:
        case "K" if first == 0:
            del cells[column:]
        case "K" if first == 1:
            cells[: column + 1] = [(" ", PLAIN)] * min(len(cells), column + 1)
        case "K" if first == 2:
            cells.clear()
        case "G":
            return min(max(1, first), LONGEST) - 1
        case "C":
            return min(column + max(1, first), LONGEST)
        case "D":
            return max(0, column - max(1, first))
    return column


def _numbers(text: str) -> list[int]:
    return [min(int(part), 10_000) if part else 0 for part in re.split("[;:]", text[:100])]


def _restyled(style: Style, codes: list[int]) -> Style:
    """Return the style after an SGR sequence."""
    waiting = iter(codes)
    for code in waiting:
        bright = code >= 90
        if code == 0:
            style = PLAIN
        elif code in ON:
            style = style._replace(looks=style.looks | {ON[code]})
        elif code in OFF:
            style = style._replace(looks=style.looks - OFF[code])
        elif code in {38, 48}:
            number = _extended(waiting)
            name = "" if number is None else _name(number, ground=code == 48)
            style = _coloured(style, name, ground=code == 48)
        elif code in {39, 49}:
            style = _coloured(style, "", ground=code == 49)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = style._replace(colour=_name(code % 10 + 8 * bright, ground=False))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = style._replace(ground=_name(code % 10 + 8 * bright, ground=True))
    return style


def _coloured(style: Style, name: str, *, ground: bool) -> Style:
    return style._replace(ground=name) if ground else style._replace(colour=name)


def _name(number: int, *, ground: bool) -> str:
    return f"{'ground' if ground else 'ink'}-{number}"


def _extended(codes: Iterable[int]) -> int | None:
    """Return the nearest of the 16 colours: of `5;n` (256 colours) or `2;r;g;b`."""
    waiting = iter(codes)
    kind = next(waiting, None)
    if kind == 5:
        return _of_256(next(waiting, 0))
    if kind == 2:
        red, green, blue = (next(waiting, 0) for _ in range(3))
        return _nearest(red, green, blue)
    return None


def _of_256(number: int) -> int:
    if number < 16:
        return number
    if number >= 232:
        level = 8 + 10 * (min(number, 255) - 232)
        return _nearest(level, level, level)
    red, green, blue = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
    return _nearest(*(0 if part == 0 else 55 + 40 * part for part in (red, green, blue)))


def _nearest(red: int, green: int, blue: int) -> int:
    def distance(number: int) -> int:
        one = EIGHT[number]
        return (red - one[0]) ** 2 + (green - one[1]) ** 2 + (blue - one[2]) ** 2

    return min(range(len(EIGHT)), key=distance)
