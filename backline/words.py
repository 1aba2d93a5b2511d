"""What a program says of its run: name, description, notes, tags.

Nothing here waits or raises: what cannot be stored is said, and the program goes on. What was said
is shown at once, here; the portal has it when the delivery has arrived.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from backline import bounds, describing, wire
from backline.numbers import shown

# Sends what was said, under the name of the call.
Deliver = Callable[[str, wire.Words], None]
Say = Callable[[str], None]


class Tags:
    """The tags of a run, in the order in which they were added. Case does not tell them apart."""

    def __init__(self, names: Iterable[str], *, deliver: Deliver, say: Say) -> None:
        self._names = {name.casefold(): name for name in names}
        self._deliver, self._say = deliver, say

    def add(self, *names: str) -> None:
        """Add tags; those that are there stay as they are."""
        new = [name for name in self._checked(names) if name.casefold() not in self._names]
        if new:
            self._names |= {name.casefold(): name for name in new}
            self._deliver("tags.add", wire.Words(add_tags=new))

    def remove(self, *names: str) -> None:
        """Remove tags; one that is not there is no error."""
        # Also those that this process does not know of: somebody may have added them in the portal.
        gone = self._checked(names)
        if gone:
            for name in gone:
                self._names.pop(name.casefold(), None)
            self._deliver("tags.remove", wire.Words(remove_tags=gone))

    def replace(self, names: Iterable[str]) -> None:
        """Set the tags: `run.tags = [...]` does this."""
        wanted = self._checked(_texts(names))
        keys = {name.casefold() for name in wanted}
        added = [name for name in wanted if name.casefold() not in self._names]
        removed = [name for key, name in self._names.items() if key not in keys]
        self._names = {name.casefold(): name for name in wanted}
        if added or removed:
            self._deliver("tags", wire.Words(add_tags=added, remove_tags=removed))

    def __iadd__(self, names: Iterable[str]) -> "Tags":
        self.add(*_texts(names))
        return self

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.casefold() in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names.values()))

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Tags({list(self)!r})"

    def _checked(self, names: Iterable[Any]) -> list[str]:
        return checked_tags(names, say=self._say)


class Described:
    """The part of a run that people read first. `Run` is one."""

    _texts: dict[str, str]
    _known_tags: Tags

    def _say(self, sentence: str) -> None:
        raise NotImplementedError

    def _deliver_words(self, call: str, words: wire.Words) -> None:
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self._texts["name"]

    @name.setter
    def name(self, text: str) -> None:
        self._set("name", str(text)[:150])

    @property
    def description(self) -> str:
        """What it is about, in a line."""
        return self._texts["description"]

    @description.setter
    def description(self, text: str) -> None:
        self._set("description", text)

    @property
    def notes(self) -> str:
        """Notes in Markdown."""
        return self._texts["notes"]

    @notes.setter
    def notes(self, text: str) -> None:
        self._set("notes", text)

    @property
    def tags(self) -> Tags:
        """Use its add and remove, or set it."""
        return self._known_tags

    @tags.setter
    def tags(self, names: Iterable[str]) -> None:
        # Of `run.tags += ["x"]`, the tags themselves come here.
        if names is not self._known_tags:
            self._known_tags.replace(names)

    def _set(self, field: str, text: object) -> None:
        storable = bounds.readable("" if text is None else str(text)).strip()
        words = describing.message(
            f"The {field} of the run", wire.Words, say=self._say, **{field: storable}
        )
        if words is not None and storable != self._texts[field]:
            self._texts[field] = storable
            self._deliver_words(field, words)


def first_words(*, description: object, notes: object, tags: object, say: Say) -> dict[str, Any]:
    """Return what `backline.init` was given, as far as it can be stored."""
    words: dict[str, Any] = {"tags": checked_tags(_texts(tags), say=say)}
    for field, value in (("description", description), ("notes", notes)):
        text = bounds.readable("" if value is None else str(value)).strip()
        kept = describing.message(f"The {field} of the run", wire.Words, say=say, **{field: text})
        words[field] = text if kept else ""
    return words


def checked_tags(names: Iterable[Any], *, say: Say) -> list[str]:
    """Return the names that can be tags, each once; the others are said."""
    good: dict[str, str] = {}
    for name in names:
        text = " ".join(bounds.readable(str(name)).split())
        words = describing.message(f"The tag {shown(name)}", wire.Words, say=say, add_tags=[text])
        if words is not None:
            good.setdefault(text.casefold(), text)
    if len(good) > 50:
        say(f"A run has at most 50 tags; of these {len(good)} the first 50 are kept.")
    return list(good.values())[:50]


def _texts(names: object) -> list[Any]:
    """Return the names; a single text is one of them, and not a list of letters."""
    if names is None:
        return []
    if isinstance(names, str) or not isinstance(names, Iterable):
        return [names]
    return list(names)
