"""Blocks of a report: what a fenced part of its text asks for.

A block is plain text that a diff shows line by line:

    ```chart
    query: tag:rates
    y: eval/error_db
    group: config.learning_rate
    frozen: yes
    ```

The word behind the fence is its kind (kinds.py); each line is a key, a colon and a value. A key
that takes a list has its values on lines of their own, or between commas. Nothing here is ever
executed.
"""

import difflib
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from markdown_it.token import Token

from portal.inputs import markdown
from portal.inputs.markdown import Fence

# Of one block, and of one text with all that it includes.
MOST_LINES = 60
MOST_BLOCKS = 60
YES, NO = frozenset({"yes", "true", "on"}), frozenset({"no", "false", "off"})


class BadBlock(ValueError):
    """A block that cannot be shown; the sentence says why, `line` where in the report's text."""

    code = "bad_block"

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(sentence)
        self.line = line


class NothingThere(BadBlock):
    """A block that is right and finds nothing: that may change, and is no mistake."""

    code = "nothing_there"


@dataclass(frozen=True)
class Options:
    """The lines of a block by their keys, each with its number in the report's text."""

    first_line: int
    lines: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def line(self, key: str) -> int:
        return self.lines[key][0][0] if key in self.lines else self.first_line

    def text(self, key: str, default: str = "") -> str:
        """Return the value of a key that has one. Raises BadBlock for a key that is there twice."""
        found = self.lines.get(key, [])
        if len(found) > 1:
            raise BadBlock(f"“{key}” stands here a second time; it takes one value.", found[1][0])
        return found[0][1] if found else default

    def listed(self, key: str) -> list[str]:
        """Return the values of a key, from all its lines and between commas. A formula, which
        begins with =, has commas of its own and takes its line alone."""
        values = []
        for _, text in self.lines.get(key, []):
            values += [text] if text.startswith("=") else [part.strip() for part in text.split(",")]
        return list(dict.fromkeys(filter(None, values)))

    def number(self, key: str, default: int, *, least: int, most: int) -> int:
        text = self.text(key)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal()) or not least <= int(text[:10]) <= most:
            raise BadBlock(
                f"“{key}” is a whole number from {least} to {most:,}, not “{text[:40]}”.",
                self.line(key),
            )
        return int(text)

    def choice(self, key: str, choices: Collection[str], default: str = "") -> str:
        text = self.text(key, default)
        if text not in choices and text != default:
            known = ", ".join(choice for choice in choices if choice)
            raise BadBlock(f"“{key}” is one of {known}, not “{text[:40]}”.", self.line(key))
        return text

    def flag(self, key: str) -> bool:
        text = self.text(key, "no").lower()
        if text in YES or text in NO:
            return text in YES
        raise BadBlock(f"“{key}” is yes or no, not “{text[:40]}”.", self.line(key))


@dataclass(frozen=True)
class Block:
    """A fenced block of a text: its kind, what it says, and where."""

    kind: str
    text: str
    line: int

    @property
    def key(self) -> str:
        """The digest of what it says, by which its frozen figures are found."""
        said = "\n".join(line.strip() for line in self.text.splitlines() if line.strip())
        return hashlib.sha256(f"{self.kind}\n{said}".encode()).hexdigest()

    def options(self, known: Collection[str]) -> Options:
        """Return its lines by their keys. Raises BadBlock for what is no line of such a block."""
        options = Options(self.line)
        for number, line in enumerate(self.text.splitlines(), self.line):
            if not line.strip():
                continue
            if number - self.line >= MOST_LINES:
                raise BadBlock(f"A block has at most {MOST_LINES} lines.", number)
            key, colon, value = (part.strip() for part in line.partition(":"))
            if not colon:
                raise BadBlock(
                    f"“{line.strip()[:60]}” is no line of a block: write a key, a colon and a "
                    "value.",
                    number,
                )
            if key not in known:
                raise BadBlock(_unknown(key, known), number)
            if value:
                options.lines.setdefault(key, []).append((number, value))
        return options


def of_fence(found: Fence) -> Block:
    return Block(found.word, found.text, found.line)


def find(text: str, kinds: Collection[str]) -> Iterator[Block]:
    """Yield the blocks of these kinds in a text, in their order."""
    for token in markdown.parse(text):
        if (found := _fence(token)) is not None and found.word in kinds:
            yield of_fence(found)


def _fence(token: Token) -> Fence | None:
    return markdown.fence(token)


def _unknown(key: str, known: Collection[str]) -> str:
    if key == "frozen":
        return (
            "This kind of block cannot be frozen: who may hear and see what it shows is decided "
            "when it is read. Take this line out."
        )
    close = difflib.get_close_matches(key, list(known), n=1)
    meant = f" Did you mean “{close[0]}”?" if close else ""
    return f"“{key[:40]}” is not known here.{meant} Known are {', '.join(known)}."
