"""One thing as a page or program is given it: as JSON, without what is withheld."""

from typing import Any

from django.urls import reverse

from experiments.media import silence
from experiments.models import Media
from portal.inputs import markdown


def body(row: Media) -> dict[str, Any]:
    """Return a judged row. Of one that is withheld there is the reason, and neither caption nor
    content nor address."""
    withheld = silence.reason(row)
    given: dict[str, Any] = {
        "run": row.run.number,
        "name": row.name,
        "step": row.step,
        "index": row.index,
        "kind": row.kind,
        "withheld": withheld,
    }
    if withheld:
        return given
    given |= {"caption": row.caption, "content": row.content}
    if row.kind == Media.Kind.TEXT and row.content["markdown"]:
        given["html"] = markdown.render(row.content["text"], top=4)
    if row.blob_id:
        given["url"] = address(row)
        given["small"] = f"{given['url']}?small=1" if row.thumbnail_id else given["url"]
    return given


def address(row: Media) -> str:
    run = row.run
    return reverse("experiments:run_media_file", args=[run.project.slug, run.number, row.pk])
