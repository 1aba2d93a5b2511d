"""Whose sound a file may have in it: of clips that are released to the public, which an app above
this one knows (audio_samples/report_blocks.py)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Sound:
    """The signed file of a released clip."""

    media_type: str
    data: bytes


class Sounds(Protocol):
    def read(self, releases: Collection[int], *, room: int) -> dict[int, Sound]:
        """Return the files of those releases that stand, by id, as far as `room` bytes go."""

    def standing(self, releases: Collection[int]) -> set[int]:
        """Return those that everybody may still hear."""


_known: list[Sounds] = []


def register(sounds: Sounds) -> None:
    _known.append(sounds)


def read(releases: Collection[int], *, room: int) -> dict[int, Sound]:
    found: dict[int, Sound] = {}
    for sounds in _known:
        left = room - sum(len(sound.data) for sound in found.values())
        found |= sounds.read(releases, room=left)
    return found


def standing(releases: Collection[int]) -> set[int]:
    return {one for sounds in _known for one in sounds.standing(releases)}
