"""Reads the pieces of a query line: names, values, operators, each where the parser expects it.

Which characters belong to a piece depends on what is expected: a colon ends a name but not a time
of day, and a comma ends an element of a list but not a word that is searched for.
"""

import re

from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.syntax import Literal, Path, Span

SPACE = re.compile(r"\s*")
NAME = re.compile(r"""(?:[^\s"'()\[\],<>=!:]|!(?!=)|(?<=[^\s"'()\[\],<>=!:.])')+""")
# A word that is searched for may have a comma in it.
WORD = re.compile(r"""(?:[^\s"'()\[\]<>=!:]|!(?!=)|(?<=[^\s"'()\[\]<>=!:])')+""")
OPERATOR = re.compile(r"<=|>=|==|!=|<|>|=|:")
# Before a comparison, what begins as a number is a value: 0.1 < run.lr, 2h < duration.
FIRST = re.compile(r"""[+-]?\.?[0-9](?:[^\s"'()\[\],<>=!])*(?=\s*(?:[<>=!]|(?:not\s+)?in\b))""")
LOOSE = re.compile(r"""(?:[^\s"'()]|(?<=[^\s"'():=])')+""")
TIGHT = re.compile(r"""(?:[^\s"'()<>=!]|!(?!=))+""")
IN_A_LIST = re.compile(r"""[^\s"'()\[\],]+""")


class Scanner:
    """A place in the line that moves on with what is read."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0

    def skip_space(self) -> None:
        match = SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    @property
    def rest(self) -> str:
        return self.text[self.position :]

    @property
    def at_end(self) -> bool:
        self.skip_space()
        return self.position >= len(self.text)

    def sees(self, character: str) -> bool:
        """Return whether this comes next, after spaces."""
        self.skip_space()
        return self.text.startswith(character, self.position)

    def take(self, character: str) -> bool:
        """Go past this if it comes next."""
        if not self.sees(character):
            return False
        self.position += len(character)
        return True

    def keyword(self, *words: str) -> bool:
        """Go past these words if they come next, each of them whole."""
        self.skip_space()
        pattern = r"\s+".join(map(re.escape, words)) + r"(?=[\s()\[\"']|$)"
        match = re.compile(pattern).match(self.text, self.position)
        self.position = match.end() if match else self.position
        return match is not None

    def operator(self) -> str:
        """Go past an operator of signs, and return it; nothing if there is none."""
        self.skip_space()
        match = OPERATOR.match(self.text, self.position)
        self.position = match.end() if match else self.position
        return match[0] if match else ""

    def span(self, start: int) -> Span:
        return Span(start, self.position - start)

    def bad(self, sentence: str, start: int, suggestion: str = "") -> BadQuery:
        return BadQuery(sentence, start, self.position - start, suggestion)

    # --- Names ------------------------------------------------------------------------------------

    def path(self) -> Path | None:
        """Read a name: parts between dots, in quotes after a dot, or in brackets."""
        self.skip_space()
        start, parts, bracketed = self.position, [""], None
        while True:
            if match := NAME.match(self.text, self.position):
                head, *others = match[0].split(".")
                parts = [*parts[:-1], parts[-1] + head, *others]
                self.position = match.end()
            elif self._starts_string() and self.position > start and not parts[-1]:
                parts[-1] = self.string().text
            elif self.text.startswith("[", self.position) and self.position > start:
                bracketed = len(parts)
                parts.append(self._bracket())
            else:
                break
            if bracketed == len(parts) - 1 and self.text.startswith(".", self.position):
                # `metrics["a"].min`: a part of its own comes next.
                self.position += 1
                parts.append("")
        if self.position == start:
            return None
        return Path(tuple(parts), bracketed, self.text[start : self.position], self.span(start))

    def _bracket(self) -> str:
        start = self.position
        self.position += 1
        self.skip_space()
        if not self._starts_string():
            raise self.bad('Between brackets stands a name in quotes, like ["val loss"].', start)
        name = self.string().text
        if not self.take("]"):
            raise self.bad("A bracket is opened and never closed.", start)
        return name

    # --- Values -----------------------------------------------------------------------------------

    def _starts_string(self) -> bool:
        return self.text[self.position : self.position + 1] in {'"', "'"}

    def string(self) -> Literal:
        """Read a text in quotes of either kind. A quote in it is doubled; nothing else is special,
        a backslash is a backslash."""
        start, quote = self.position, self.text[self.position]
        pieces, place = [], start + 1
        while True:
            end = self.text.find(quote, place)
            if end < 0:
                self.position = len(self.text)
                raise self.bad("A quotation mark is opened and never closed.", start)
            pieces.append(self.text[place:end])
            place = end + 1
            if not self.text.startswith(quote, place):
                break
            place += 1
        self.position = place
        return Literal(quote.join(pieces), True, self.span(start))

    def value(self, pattern: re.Pattern[str]) -> Literal | None:
        """Read what stands after an operator: a text in quotes, or everything up to a space, with
        the parentheses that it opens itself."""
        self.skip_space()
        if self._starts_string():
            return self.string()
        start, depth = self.position, 0
        while match := pattern.match(self.text, self.position):
            self.position = match.end()
            while self.text[self.position : self.position + 1] in {"(", ")"}:
                depth += 1 if self.text[self.position] == "(" else -1
                if depth < 0 or pattern is IN_A_LIST:
                    break
                self.position += 1
            else:
                continue
            break
        if self.position == start:
            return None
        return Literal(self.text[start : self.position], False, self.span(start))

    def first_literal(self) -> Literal | None:
        """Read a text in quotes, or what begins as a number and is compared; None for others."""
        self.skip_space()
        if self._starts_string():
            return self.string()
        if match := FIRST.match(self.text, self.position):
            start, self.position = self.position, match.end()
            return Literal(match[0], False, self.span(start))
        return None

    def word(self) -> Literal | None:
        self.skip_space()
        start = self.position
        if match := WORD.match(self.text, self.position):
            self.position = match.end()
            return Literal(match[0], False, self.span(start))
        return None
