"""Whether a file was downloaded from here, by what it says of itself or by what is heard in it."""

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
    """How a file is known."""

    SIGNED = "signed"
    SOUND = "sound"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Finding:
    """`credentials` are one where the file says so itself, and all that fit where only its sound
    is known: the same music may have left in several files. `torn`: it carries a credential that
    does not hold; `stranger`: one by somebody whom this portal does not trust."""

    how: KnownBy
    credentials: list[Credential] = field(default_factory=list)
    torn: bool = False
    stranger: bool = False


LISTED = 10


def check(file: IO[bytes]) -> Finding:
    """Look at a file that somebody brought; raises audio.decoding.BadAudio or
    chain.NoChain.

    A credential counts where its signature holds, by a certificate that leads to our anchors, and
    where the row of that number was signed by the same certificate about the same statement.
    """
    audio, rate, media_type = analysis.decode(file)
    reading = _read(file, media_type)
    if reading.state == "Trusted" and (known := _signed(reading)):
        return Finding(KnownBy.SIGNED, [known])
    torn, stranger = reading.state == "Invalid", reading.state in {"Valid", "Trusted"}
    rows = Credential.objects.filter(sound=sound_digest.digest(audio, rate=rate)).order_by(
        "-at", "pk"
    )
    heard = list(rows.select_related("sample__run__project", "statement")[:LISTED])
    return Finding(KnownBy.SOUND if heard else KnownBy.NOTHING, heard, torn, stranger)


def _read(file: IO[bytes], media_type: str) -> files.Reading:
    try:
        return files.read_open(file, media_type=media_type, anchors=chain.anchors())
    except files.Unreadable:
        # Audio that plays, with something in it that is no credential.
        return files.Reading("none")


def _signed(reading: files.Reading) -> Credential | None:
    said = reading.assertions.get(LABEL, {})
    row = _row(said)
    same = row is not None and (row.statement_id or "", row.serial) == (
        said.get("statement"),
        reading.serial,
    )
    return row if same else None


def _row(said: Mapping[str, Any]) -> Credential | None:
    try:
        number = UUID(str(said.get("credential")))
    except ValueError:
        return None
    rows = Credential.objects.select_related("sample__run__project", "statement")
    return rows.filter(pk=number).first()
