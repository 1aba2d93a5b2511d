"""Names that may be the same party's, written in another way: for a person to decide.

Compared without case, accents, punctuation and the order of words. Nothing is taken for the same
here: a name that is nearly another's may be somebody else's.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from rapidfuzz import fuzz

from rights.models import Party

# Of 100, by edits in relation to the lengths: "Dash Jane" and "Dashjane", "Smith, Jane" and "Jane
# Smith", "Björk" and "Bjork", one wrong letter in seven.
LEAST = 85
# One name that has all words of the other, and two at least: "Good Label" and "Good Label Ltd".
CONTAINED = 90
WORDS_CONTAINED = 2
# A prefix that more names share says little, and takes long.
COMMON = 2_000
PREFIX = 3


@dataclass(frozen=True)
class SimilarName:
    """A name that is like the one asked for; `likeness` goes up to 100."""

    key: int
    name: str
    likeness: float


@dataclass(frozen=True)
class _Plain:
    """A name in small letters without marks: its words in order of the alphabet, and as one."""

    words: tuple[str, ...]
    joined: str

    @classmethod
    def from_name(cls, name: str) -> Self:
        decomposed = unicodedata.normalize("NFKD", name.casefold())
        letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
        words = re.findall(r"[^\W_]+", letters)
        return cls(tuple(sorted(words)), "".join(words))

    def prefixes(self) -> set[str]:
        return {word[:PREFIX] for word in (*self.words, self.joined) if word}

    def likeness(self, other: Self) -> float:
        shorter = min(set(self.words), set(other.words), key=len)
        contained = shorter <= set(self.words) & set(other.words)
        return max(
            fuzz.ratio(" ".join(self.words), " ".join(other.words), score_cutoff=LEAST),
            fuzz.ratio(self.joined, other.joined, score_cutoff=LEAST),
            CONTAINED if contained and len(shorter) >= WORDS_CONTAINED else 0,
        )


class NameIndex:
    """Names by the prefixes of their words; each has a key of the caller's."""

    def __init__(self, names: Iterable[tuple[int, str]] = ()) -> None:
        self._names: list[tuple[int, str, _Plain]] = []
        self._places: dict[str, list[int]] = defaultdict(list)
        for key, name in names:
            self.add(key, name)

    def add(self, key: int, name: str) -> None:
        plain = _Plain.from_name(name)
        for prefix in plain.prefixes():
            self._places[prefix].append(len(self._names))
        self._names.append((key, name, plain))

    def similar(self, name: str, *, most: int = 3) -> list[SimilarName]:
        """Return the names most like this one, the likest first; each key once."""
        plain = _Plain.from_name(name)
        places: set[int] = set()
        for prefix in plain.prefixes():
            found = self._places.get(prefix, ())
            places.update(found if len(found) <= COMMON else ())
        best: dict[int, SimilarName] = {}
        for place in places:
            key, other, other_plain = self._names[place]
            likeness = plain.likeness(other_plain)
            if likeness >= LEAST and (key not in best or likeness > best[key].likeness):
                best[key] = SimilarName(key, other, likeness)
        return sorted(best.values(), key=lambda each: (-each.likeness, each.name, each.key))[:most]


def index_of_parties() -> NameIndex:
    """Return an index of all parties of the catalogue, by name and by what they are credited as."""
    index = NameIndex()
    for pk, name, credited_as in Party.objects.values_list("pk", "name", "credited_as").iterator():
        index.add(pk, name)
        if credited_as:
            index.add(pk, credited_as)
    return index
