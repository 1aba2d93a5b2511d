"""What a credential says: how the clip came to be, who is credited, and that it trains nothing.

No names of projects, runs or people of the lab, no prompt, and of the artists only those who are
named on public pages (`Party.public_name`): what stands in a file can never be taken back.
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
# So many artists are named in the file, the greatest share first; the others are counted.
NAMED = 12
AT_ONCE = 100
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# The permissions behind a clip were given to this lab, for what they say: nobody else's model
# learns from it.
NOT_ALLOWED = {"entries": {key: {"use": "notAllowed"} for key in uses.CAWG_KEYS}}


def manifest(
    sample: Sample, credential: UUID, statement: CreditStatement | None, media_type: str
) -> dict[str, Any]:
    """The definition that is signed: C2PA 2.2 with `cawg.training-mining` 1.1 and our credits."""
    told = public_words.public_sources([sample.run])[sample.run.pk]
    made = {"step": str(sample.step)}
    if sample.seed is not None:
        made["seed"] = str(sample.seed)
    created = {
        "action": "c2pa.created",
        "when": sample.created_at.isoformat(timespec="seconds"),
        "digitalSourceType": GENERATED,
        "softwareAgent": {"name": told.name, "version": told.reference},
        "parameters": made,
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
            # Without the audio: whose it is, the statement says to those who may read it.
            {"title": f"Reference audio {number}", "relationship": "inputTo"}
            for number, _ in enumerate(sample.references, start=1)
        ],
    }


def _credits(sample: Sample, credential: UUID, statement: CreditStatement | None) -> dict[str, Any]:
    """By `statement` the credits in the portal are found, and are seen to be the same; the newest
    signed root of the audit log (RFC 6962) says that its lines were there before."""
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
    """Not those who have left, unless they want to be named all the same."""
    if statement is None:
        return []
    left = withdrawals.parties_who_left(sample.run)
    read = statement.read()
    # Reference audio is heard itself: its artists come first.
    order = list(dict.fromkeys(crediting.artists(read.references) + crediting.artists(read.lines)))
    names: list[str] = []
    # Of thousands only as many are read as are named.
    for some in parts(order, AT_ONCE):
        known = Party.objects.in_bulk(some)
        names += [
            name
            for pk in some
            if (name := known[pk].public_name) and (pk not in left or known[pk].public_after)
        ]
        if len(names) >= NAMED:
            break
    return list(dict.fromkeys(names))[:NAMED]
