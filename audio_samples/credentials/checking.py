"""Find out whether a file was downloaded from here, by its credential or by its sound."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import IO, Any
from uuid import UUID

from audio import sound_digest
from audio_samples import analysis
from audio_samples.credentials import chain, files
from audio_samples.credentials.manifest import LABEL
from audio_samples.models import Credential


class KnownBy(Enum):
    """How a file was recognised."""

    SIGNED = "signed"
    SOUND = "sound"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Finding:
    """`credentials` is the one that the file carries, or all that match where only its sound is
    known: the same music may be in several downloads. `invalid`: the file carries a credential that
    is invalid; `unrecognised`: one that is valid, but is not known or not trusted here."""

    known_by: KnownBy
    credentials: list[Credential] = field(default_factory=list)
    invalid: bool = False
    unrecognised: bool = False


LISTED = 10


def check(file: IO[bytes]) -> Finding:
    """Check a file that somebody uploads; raises audio.decoding.BadAudio or chain.NoChain.

    A credential counts if its signature is valid, by a certificate that leads to our anchors, and
    if the row of that number was signed by the same certificate about the same statement.
    """
    audio, rate, media_type = analysis.decode(file)
    reading = _read(file, media_type)
    if reading.state == "Trusted" and (credential := _signed(reading)):
        return Finding(KnownBy.SIGNED, [credential])
    torn, stranger = reading.state == "Invalid", reading.state in {"Valid", "Trusted"}
    rows = Credential.objects.filter(sound=sound_digest.digest(audio, rate=rate)).order_by(
        "-at", "pk"
    )
    matches = list(rows.select_related("sample__run__project", "statement")[:LISTED])
    return Finding(KnownBy.SOUND if matches else KnownBy.NOTHING, matches, torn, stranger)


def _read(file: IO[bytes], media_type: str) -> files.Reading:
    try:
        return files.read_open(file, media_type=media_type, anchors=chain.anchors())
    except files.Unreadable:
        # The audio plays, but what it carries is no credential.
        return files.Reading("none")


def _signed(reading: files.Reading) -> Credential | None:
    assertion = reading.assertions.get(LABEL, {})
    row = _row(assertion)
    same = row is not None and (row.statement_id or "", row.serial) == (
        assertion.get("statement"),
        reading.serial,
    )
    return row if same else None


def _row(assertion: Mapping[str, Any]) -> Credential | None:
    try:
        number = UUID(str(assertion.get("credential")))
    except ValueError:
        return None
    rows = Credential.objects.select_related("sample__run__project", "statement")
    return rows.filter(pk=number).first()
