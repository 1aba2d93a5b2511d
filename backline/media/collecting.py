"""From what a call of `log` was given to packs: each thing that cannot be sent is left out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from backline import bounds, wire
from backline.frames import HEAD, MAX_BYTES, MAX_HEADER_BYTES
from backline.media import packs
from backline.media.base import Encoded, Media
from backline.media.packs import MAX_ITEMS, MAX_OF_NAME, Item, Pack
from backline.media.sounds import Audio
from backline.numbers import shown

# Of a header, beside its items.
HEADER_ROOM = 200
# Prints a warning once for what it is `about`.
Warn = Callable[[str, str], None]


@dataclass(frozen=True)
class Entry:
    """An item with its bytes, and how many its line in the header takes."""

    item: Item
    data: bytes
    line: int


@dataclass(frozen=True)
class Collected:
    """What one call was given: numbers, clips one by one, and all other media by their names."""

    numbers: dict[str, Any] = field(default_factory=dict)
    clips: list[tuple[str, Audio]] = field(default_factory=list)
    media: dict[str, list[Any]] = field(default_factory=dict)


def split(values: Mapping[str, Any]) -> Collected:
    """Tell numbers, clips and other media apart."""
    found = Collected()
    for name, value in values.items():
        things = list(value) if isinstance(value, list | tuple) else [value]
        if not any(isinstance(thing, Media) for thing in things):
            found.numbers[name] = value
            continue
        found.clips.extend((name, thing) for thing in things if isinstance(thing, Audio))
        if rest := [thing for thing in things if not isinstance(thing, Audio)]:
            found.media[name] = rest
    return found


def packs_of(
    media: Mapping[str, Sequence[Any]],
    *,
    step: int,
    at: float,
    named: Callable[[str], str],
    warn: Warn,
) -> Iterator[bytes]:
    """Yield the encoded packs of one call; a name is never divided between two of them. `named`
    returns the name that a rank's media have."""
    waiting = Waiting()
    for name, things in media.items():
        entries = _entries(str(name).strip(), things, named, warn)
        if waiting.entries and not waiting.fits(entries):
            yield waiting.encode(step, at)
            waiting = Waiting()
        waiting.add(entries)
    if waiting.entries:
        yield waiting.encode(step, at)


class Waiting:
    """What goes into one pack, and how large that is so far."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._header, self._data = HEADER_ROOM, 0

    def fits(self, more: Sequence[Entry]) -> bool:
        header = self._header + sum(entry.line for entry in more)
        data = self._data + sum(len(entry.data) for entry in more)
        return (
            len(self.entries) + len(more) <= MAX_ITEMS
            and header <= MAX_HEADER_BYTES
            and HEAD.size + header + data <= MAX_BYTES
        )

    def add(self, more: Sequence[Entry]) -> None:
        self.entries += more
        self._header += sum(entry.line for entry in more)
        self._data += sum(len(entry.data) for entry in more)

    def encode(self, step: int, at: float) -> bytes:
        return packs.encode(Pack(step, at, [(entry.item, entry.data) for entry in self.entries]))


def _entries(
    name: str, things: Sequence[Any], named: Callable[[str], str], warn: Warn
) -> list[Entry]:
    full = named(name)
    if not wire.good_name(name) or not wire.good_name(full):
        warn(
            f"{name[:50]!r} cannot be a name (1 to {wire.MAX_NAME} printable characters); its "
            "media are not logged.", f"media {name[:50]}",
        )  # fmt: skip
        return []
    if len(things) > MAX_OF_NAME:
        warn(
            f"{name} has {len(things)} items at one step; the first {MAX_OF_NAME} are sent.",
            f"items of {name}",
        )
    kept = Waiting()
    for index, thing in enumerate(things[:MAX_OF_NAME]):
        entry = _entry(full, index, thing, warn)
        if entry and not kept.fits([entry]):
            warn(
                f"{name} has more than {MAX_BYTES / 1e6:.0f} MB at one step; item "
                f"{index + 1} is left out.", f"bytes of {name}",
            )  # fmt: skip
        elif entry:
            kept.add([entry])
    return kept.entries


def _entry(name: str, index: int, thing: Any, warn: Warn) -> Entry | None:
    try:
        encoded: Encoded = thing.encode()
        item = Item(
            name=name,
            index=index,
            kind=encoded.kind,
            caption=thing.caption,
            content=encoded.content,
            size=len(encoded.data),
        )
    except Exception as error:  # noqa: BLE001 - whatever a value does, training goes on.
        kind = type(thing).__name__
        warn(f"{name} was not logged ({kind}). {_reason(error)}", f"media {name}")
        return None
    if encoded.note:
        warn(f"{name}: {encoded.note}", f"part of {name}")
    return Entry(item, encoded.data, len(item.model_dump_json().encode()) + 1)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return packs.first_reason(error)
    if isinstance(error, ValueError | OSError):
        return bounds.readable(str(error))[:500]
    return f"{type(error).__name__}: {shown(error)}"
