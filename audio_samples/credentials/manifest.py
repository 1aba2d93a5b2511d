"""What a credential says: how the clip was made, who is credited, and that nothing may train on it.

It has no names of projects, runs or people of the lab, no prompt, and names only those artists who
are named on public pages (`Party.public_name`): what is in a file can never be taken back.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from audio_samples.models import CreditStatement, Sample
from backline import uses
from experiments.publishing import public_words, withdrawals
from portal.database.bulk import parts
from portal.models import LogRoot
from rights.models import Party
from rights.tdm import reservations
from rights.usage import crediting

LABEL = "app.backline.credits"
VERSION = 1
# The file names this many artists, the greatest share first; the others are counted.
MAX_NAMED = 12
BATCH_SIZE = 100
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# The permissions behind a clip were given to this lab, for the uses that they name: nobody else's
# model may learn from it.
NOT_ALLOWED = {"entries": {key: {"use": "notAllowed"} for key in uses.CAWG_KEYS}}


def manifest(
    sample: Sample, credential: UUID, statement: CreditStatement | None, media_type: str
) -> dict[str, Any]:
    """Return the definition to sign: C2PA 2.2 with `cawg.training-mining` 1.1 and our credits."""
    source = public_words.public_sources([sample.run])[sample.run.pk]
    parameters = {"step": str(sample.step)}
    if sample.seed is not None:
        parameters["seed"] = str(sample.seed)
    created = {
        "action": "c2pa.created",
        "when": sample.created_at.isoformat(timespec="seconds"),
        "digitalSourceType": GENERATED,
        "softwareAgent": {"name": source.name, "version": source.reference},
        "parameters": parameters,
    }
    return {
        "claim_generator_info": [{"name": "Backline"}],
        "title": f"Sample {sample.pk}",
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": reservations.LABEL, "data": NOT_ALLOWED},
            {"label": LABEL, "data": _credits(sample, credential, statement)},
        ],
        "ingredients": [
            # Without the audio: the statement says whose it is to those who may read it.
            {"title": f"Reference audio {number}", "relationship": "inputTo"}
            for number, _ in enumerate(sample.references, start=1)
        ],
    }


def _credits(sample: Sample, credential: UUID, statement: CreditStatement | None) -> dict[str, Any]:
    """Return our assertion. `statement` finds the credits in the portal and shows them unchanged;
    the newest signed root of the audit log (RFC 6962) shows that its lines were there before."""
    root = LogRoot.objects.order_by("-size").first()
    return {
        "version": VERSION,
        "credential": str(credential),
        "statement": statement.digest if statement else "",
        "recordings": statement.learned if statement else 0,
        "references": statement.heard if statement else 0,
        "artists": statement.learned_artists if statement else 0,
        "named": _named(sample, statement),
        "dataset": sample.run.dataset_digest,
        "log": {"portal": root.portal, "size": root.size, "root": root.root} if root else None,
        "read": settings.PORTAL_URL + reverse("audio_samples:credential", args=[credential]),
    }


def _named(sample: Sample, statement: CreditStatement | None) -> list[str]:
    """Return the artists to name; those who have left only if they still want to be named."""
    if statement is None:
        return []
    left_parties = withdrawals.parties_who_left(sample.run)
    body = statement.read()
    # Reference audio is used directly: its artists come first.
    order = list(dict.fromkeys(crediting.artists(body.references) + crediting.artists(body.lines)))
    names: list[str] = []
    # There may be thousands: reading stops once enough are named.
    for batch in parts(order, BATCH_SIZE):
        parties = Party.objects.in_bulk(batch)
        names += [
            name
            for pk in batch
            if (name := parties[pk].public_name)
            and (pk not in left_parties or parties[pk].public_after)
        ]
        if len(names) >= MAX_NAMED:
            break
    return list(dict.fromkeys(names))[:MAX_NAMED]
