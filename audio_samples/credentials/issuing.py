"""Sign samples for download: each file has its own credential, and a row says who took it."""

import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import soundfile
from django.db import transaction

from audio import sound_digest
from audio_samples import analysis, credit_statements
from audio_samples.credentials import chain, files
from audio_samples.credentials.manifest import manifest
from audio_samples.models import Credential, CreditStatement, Sample
from portal import audit, storage
from portal.models import User

# Formats that can hold a credential, by first bytes; except for MP3, all others become FLAC.
SIGNABLE = {b"RIFF": "audio/wav", b"fLaC": "audio/flac"}
MP3 = "audio/mpeg"


class Withheld(RuntimeError):
    """A permission ended, or somebody withheld the sample, while the file was being made."""


@dataclass(frozen=True)
class SignedFile:
    """The signed file, open at its start; it is deleted when it is closed."""

    credential: Credential
    file: IO[bytes]
    size: int
    media_type: str


def download(sample: Sample, *, by: User) -> SignedFile:
    """Sign the sample as a file that says whose music it learned from, and store its credential.

    Raises Withheld and what `sign_sample` raises; no credential is stored then.
    """
    signed_file = sign_sample(sample, by=by)
    try:
        with transaction.atomic():
            store_credential(signed_file.credential)
    except BaseException:
        signed_file.file.close()
        raise
    return signed_file


def sign_sample(sample: Sample, *, by: User) -> SignedFile:
    """Sign the file only: nobody gets it before `store_credential` has stored its credential.

    The audio is the same to the last bit; Ogg and RF64, which hold no credential, become FLAC
    (of what Ogg decodes to, in 24 bits at most). Raises chain.NoChain, files.Unsigned or, if the
    file is missing from storage, FileNotFoundError.
    """
    signer = chain.load()
    statement = _updated_statement(sample)
    number = uuid.uuid4()
    with tempfile.TemporaryDirectory() as folder:
        source, media_type = _copy_for_signing(sample, Path(folder))
        target = Path(folder) / "signed"
        with source.open("rb") as file:
            audio, rate, _ = analysis.decode(file)
        signed_manifest = files.sign(
            source,
            target,
            media_type=media_type,
            manifest=manifest(sample, number, statement, media_type),
            chain=signer,
        )
        credential = Credential(
            pk=number,
            sample=sample,
            statement=statement,
            sound=sound_digest.digest(audio, rate=rate),
            manifest=signed_manifest,
            serial=str(signer.signer.serial_number),
            by=by,
        )
        return SignedFile(credential, target.open("rb"), target.stat().st_size, media_type)


def _updated_statement(sample: Sample) -> CreditStatement | None:
    """Bring the sample's credit up to the ledger; return the statement, which the file repeats."""
    statement = credit_statements.statement_at(sample.run, sample.step, sample.references)
    if statement is not None and statement.digest != sample.credit_id:
        Sample.objects.filter(pk=sample.pk).update(credit=statement)
    return statement


def _copy_for_signing(sample: Sample, folder: Path) -> tuple[Path, str]:
    """Copy the sample's file in a form that can be signed; return it and its media type."""
    copy = folder / "original"
    with storage.open_blob(sample.file.sha256) as blob, copy.open("wb") as file:
        shutil.copyfileobj(blob, file)
    if sample.file.media_type == MP3:
        return copy, MP3
    with copy.open("rb") as file:
        first_bytes = file.read(4)
    if first_bytes in SIGNABLE:
        return copy, SIGNABLE[first_bytes]
    flac = folder / "as.flac"
    with soundfile.SoundFile(copy) as sound:
        subtype = sound.subtype if sound.subtype in {"PCM_16", "PCM_S8"} else "PCM_24"
        with soundfile.SoundFile(
            flac, "w", sound.samplerate, sound.channels, subtype, format="FLAC"
        ) as target:
            for block in sound.blocks(65_536, dtype="float64"):
                target.write(block)
    return flac, "audio/flac"


def store_credential(credential: Credential) -> None:
    """Store the credential, inside a transaction; raises Withheld if the sample is withheld."""
    # The line takes its turn among the audited writes: a withdrawal comes before it and is seen
    # here, or after it and finds this file among the downloads.
    audit.record(
        by=credential.by,
        verb="sample.given_out",
        subject=credential.sample,
        credential=str(credential.pk),
        statement=credential.statement_id,
    )
    if not Sample.objects.audible().filter(pk=credential.sample_id).exists():
        raise Withheld
    credential.save(force_insert=True)
