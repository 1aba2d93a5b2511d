"""What an incoming file declares about itself, before it is taken for somebody's recording.

A refusal of uses is recorded as a signal (signals.py) and stands. What a machine made is refused:
as a recording it would be trained on like a person's. The app above reads the file's manifests: it
knows the credentials that this portal issues, and registers itself here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from portal.models import User
from rights.errors import Refused
from rights.models import Recording, Signal
from rights.tdm import reservations, signals
from rights.tdm.reservations import EVERY_USE, RESERVED, Reservation

# IPTC digital source types of what was made by a trained model, in whole and in part.
TRAINED = "trainedalgorithmicmedia"
COMPOSITE = frozenset({"compositewithtrainedalgorithmicmedia", "compositesynthetic"})
# PLUS data mining, as in XMP: the endings of the names that prohibit.
PROHIBITED = re.compile(rb"DMI-PROHIBITED[A-Z-]*")
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Manifest:
    """The assertions of one C2PA manifest, label and data each; the active one is the newest."""

    active: bool
    assertions: Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Embedded:
    """What the app above finds in a file: manifests, whether they are unreadable, and whether the
    very sound was made in this portal."""

    manifests: Sequence[Manifest] = ()
    unreadable: bool = False
    made_here: bool = False


Look = Callable[[IO[bytes], str], Embedded]
_looks: list[Look] = []


def register(look: Look) -> None:
    """Register a reader; `look` gets a file at its start and its media type."""
    _looks.append(look)


def read(file: IO[bytes], *, media_type: str) -> list[Reservation]:
    """Return what a file reserves, left at its start. Raises Refused for what a machine made."""
    declared: list[Reservation] = []
    for look in _looks:
        file.seek(0)
        embedded = look(file, media_type)
        _refuse_machines(embedded)
        declared += _reservations_in(embedded)
    if prohibition := _prohibited(file):
        info = prohibition.decode("ascii")
        declared.append(
            Reservation(Signal.Scheme.CAWG, "plus.DataMining", "notAllowed", info, RESERVED)
        )
    file.seek(0)
    return reservations.merged(declared)


def note_signals(
    *, by: User, recording: Recording, reservations: Sequence[Reservation], filename: str
) -> list[Signal]:
    """Record the signals, in the transaction in which the file becomes the recording's."""
    source = f"Inside the file {filename}"
    return (
        signals.record_signals(by=by, subject=recording, reservations=reservations, source=source)
        if reservations
        else []
    )


def warning(declared: Sequence[Reservation]) -> list[str]:
    """Return the warning for the sender and the recording's page, if the file denies a use."""
    denials = [reservation for reservation in declared if reservation.denied]
    if not denials:
        return []
    keys = ", ".join(f"{denial.key}: {denial.value}" for denial in denials)
    sentence = (
        f"The file itself says no ({keys}). It is noted: each holder has to permit the uses that "
        "it denies for this very recording."
    )
    return [sentence]


def _refuse_machines(embedded: Embedded) -> None:
    if embedded.made_here:
        raise Refused(
            "made_here",
            "This was made in this portal, by a machine, so it is nobody's recording. “Check a "
            "file” says by which run.",
            field="file",
        )
    for manifest in embedded.manifests:
        if manifest.active and TRAINED in _sources(manifest):
            raise Refused(
                "made_by_machine",
                "The file says of itself that a trained model made it (its C2PA manifest: "
                "trainedAlgorithmicMedia). What a machine made is not taken as somebody's "
                "recording.",
                field="file",
            )


def _reservations_in(embedded: Embedded) -> Iterator[Reservation]:
    if embedded.unreadable:
        yield Reservation(Signal.Scheme.MADE_BY, "c2pa", "unreadable", "", EVERY_USE)
    for manifest in embedded.manifests:
        for label, data in manifest.assertions:
            if reservations.is_training_mining(label):
                yield from _entries(label, data)
        if source_types := _sources(manifest) & {TRAINED, *COMPOSITE}:
            info = ", ".join(sorted(source_types))
            yield Reservation(
                Signal.Scheme.MADE_BY, "digitalSourceType", "composite", info, EVERY_USE
            )


def _entries(label: str, data: Any) -> list[Reservation]:
    """Return the reservations; what cannot be read in full denies all: nobody here can be asked."""
    try:
        return reservations.entries_of(data)
    except Refused as error:
        key = re.sub(r"[^\w.-]", "", label)[:100]
        return [Reservation(Signal.Scheme.CAWG, key, "unreadable", str(error)[:500], EVERY_USE)]


def _sources(manifest: Manifest) -> set[str]:
    """Return the source types that it names anywhere, by the last part of their addresses."""
    texts = (text for _, data in manifest.assertions for text in _texts(data))
    known = {TRAINED, *COMPOSITE}
    return known & {re.split(r"[/#:]", text.strip())[-1].casefold() for text in texts}


def _texts(data: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif depth < 20 and isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _texts(item, depth + 1)


def _prohibited(file: IO[bytes]) -> bytes:
    file.seek(0)
    tail = b""
    while chunk := file.read(CHUNK):
        if match := PROHIBITED.search(tail + chunk):
            return match[0]
        tail = chunk[-64:]
    return b""
