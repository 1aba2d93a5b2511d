"""Titles and names in several scripts: which one is the name, and which mean the same.

Titles: `DisplayTitleText` and `DisplayTitle` of ERN 4, `Title` by its type and `ReferenceTitle` of
ERN 3; where there are several, the default, then that of the whole world, then that in the
message's own language, then the first. A party may be written in one script here and in another
there; within a message they are one party, unless two parties claim the spelling.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from rights.exchange.importing.ern.xml import children, is_true, local, text
from rights.exchange.importing.rows import folded

# From what is shown to listeners to what is only said beside it.
RANKS = {
    "DisplayTitleText": 0, "DisplayTitle": 1, "Title DisplayTitle": 2, "ReferenceTitle": 3,
    "Title FormalTitle": 4, "Title": 4, "Title OriginalTitle": 5, "AdditionalTitle": 7,
    "AlternativeTitle": 7,
}  # fmt: skip
# A title of ERN 3 of any other type, such as TranslatedTitle or AbbreviatedDisplayTitle.
OTHER_TITLE = 6
MOST_TITLES = 20


def titles_of(places: Iterable[Element], language: str) -> list[str]:
    """Return the title, then the other titles and spellings, each once."""
    ranked = [
        ((rank, *_preference(kid, language)), title)
        for place in places
        for kid in place
        if (rank := _rank(kid)) is not None and (title := _whole_title(kid))
    ]
    ranked.sort(key=lambda pair: pair[0])
    return _each_once(title for _, title in ranked)[:MOST_TITLES]


def _rank(element: Element) -> int | None:
    name = local(element)
    if name == "Title":
        name = f"Title {element.attrib.get('TitleType', '')}".strip()
        return RANKS.get(name, OTHER_TITLE)
    return RANKS.get(name)


def _preference(element: Element, language: str) -> tuple[bool, bool, bool]:
    territory = element.attrib.get("ApplicableTerritoryCode", "Worldwide")
    own_language = element.attrib.get("LanguageAndScriptCode", language)
    return (
        not is_true(element.attrib.get("IsDefault")),
        territory != "Worldwide",
        own_language != language,
    )


def _whole_title(element: Element) -> str:
    """Return the text with its subtitles, without which two versions would have one title."""
    title = text(element) if local(element) == "DisplayTitleText" else text(element, "TitleText")
    for kid in children(element, "SubTitle"):
        subtitle = text(kid)
        if title and subtitle and folded(subtitle) not in folded(title):
            title = f"{title} ({subtitle})"
    return title


def names_of(element: Element) -> list[str]:
    """Return a party's name, then its other spellings, each once."""
    party_names = sorted(
        children(element, "PartyName"), key=lambda kid: not is_true(kid.attrib.get("IsDefault"))
    )
    spelled = [_full_name(kid) for kid in party_names]
    spelled += [
        text(kid, other)
        for kid in party_names
        for other in ("FullNameAsciiTranscribed", "FullNameIndexed")
    ]
    return _each_once(spelled)


def _each_once(texts: Iterable[str]) -> list[str]:
    unique: dict[str, str] = {}
    for one in texts:
        if one:
            unique.setdefault(folded(one), one)
    return list(unique.values())


def _full_name(party_name: Element) -> str:
    parts = ("NamesBeforeKeyName", "KeyName", "NamesAfterKeyName")
    return text(party_name, "FullName") or " ".join(
        part for part in (text(party_name, name) for name in parts) if part
    )


@dataclass
class Spellings:
    """Which spellings of a message's parties mean the same party."""

    # From each party's name to its numbers, and from a spelling to the names that claim it.
    _numbers: dict[str, dict[str, str]] = field(default_factory=dict)
    _claims: dict[str, dict[str, None]] = field(default_factory=dict)
    _written: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _others: dict[str, list[str]] = field(default_factory=dict)

    def note(self, names: list[str], numbers: dict[str, str]) -> None:
        if not names:
            return
        main, *others = (folded(name) for name in names)
        for spelling, name in zip((main, *others), names, strict=True):
            self._written.setdefault(spelling, name)
        self._numbers.setdefault(main, {}).update(numbers)
        for other in others:
            self._claims.setdefault(other, {})[main] = None

    def settle(self) -> None:
        """Decide, once all parties are noted. A transcription often fits several people: a
        spelling that two parties claim, or with another's number, is nobody's but its own."""
        for spelling, owners in self._claims.items():
            roots = {self._root(owner) for owner in owners}
            if len(roots) != 1:
                continue
            (root,) = roots
            if root != spelling and not self._contradict(root, spelling):
                self._names[spelling] = root
        for spelling in list(self._names):
            self._others.setdefault(self._root(spelling), []).append(self._written[spelling])

    def name_of(self, name: str) -> str:
        """Return the name by which the message's party of this spelling is entered."""
        root = self._root(folded(name))
        return name if root == folded(name) else self._written.get(root, name)

    def others_of(self, name: str) -> list[str]:
        """Return the other spellings that mean the party of this name, and nobody else."""
        return self._others.get(folded(name), [])

    def _root(self, name: str) -> str:
        """Follow a spelling to its party, and shorten the way, which a message could make long."""
        root = name
        while root in self._names:
            root = self._names[root]
        while name in self._names:
            self._names[name], name = root, self._names[name]
        return root

    def _contradict(self, name: str, other: str) -> bool:
        numbers, others = self._numbers.get(name, {}), self._numbers.get(other, {})
        return any(others.get(scheme, value) != value for scheme, value in numbers.items())


def parties_in(element: Element) -> Iterator[Element]:
    """Yield every element that names a party in place, as those of ERN 3 do."""
    return (kid for kid in element.iter() if any(children(kid, "PartyName")))
