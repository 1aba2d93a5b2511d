"""Find the files that rows name and the store lacks, after a restore or the failure of a disk."""

import hashlib
from collections.abc import Iterator

from django.db.models import ManyToOneRel

from portal import storage
from portal.models import Blob

# At most this many of the rows that name a missing blob are listed: the first ones tell enough.
MAX_NAMED = 5


def faults(*, read: bool = False) -> Iterator[str]:
    """Yield a sentence for each blob whose bytes are gone or, with `read`, were changed."""
    for blob in Blob.objects.order_by("sha256").iterator():
        if not storage.exists(blob.sha256):
            yield f"{_what(blob)} is missing; {_named_by(blob)}"
        elif read and not _right(blob):
            yield f"{_what(blob)} is damaged: its bytes have another digest; {_named_by(blob)}"


def _right(blob: Blob) -> bool:
    digest = hashlib.sha256()
    with storage.open_blob(blob.sha256) as file:
        while chunk := file.read(storage.CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == blob.sha256


def _what(blob: Blob) -> str:
    return f"{blob.sha256} ({blob.media_type}, {blob.size} bytes)"


def _named_by(blob: Blob) -> str:
    names = []
    for relation in Blob._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ManyToOneRel):
            continue
        rows = relation.related_model._default_manager.filter(**{relation.field.name: blob})
        label = relation.related_model._meta.label_lower
        names += [f"{label}:{key}" for key in rows.values_list("pk", flat=True)[: MAX_NAMED + 1]]
    more = " and others" if len(names) > MAX_NAMED else ""
    return f"named by {', '.join(names[:MAX_NAMED])}{more}." if names else "no row names it."
