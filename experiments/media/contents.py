"""Check what a pack brings, kind by kind, and bring it into the form in which it is stored."""

import json
from dataclasses import dataclass, field
from typing import Any

from backline.media import packs
from backline.media.headers import BadPicture
from backline.media.packs import Item, Malformed
from experiments.media import pictures

JSON = "application/json"


@dataclass(frozen=True)
class Prepared:
    """An item that may be stored: bytes for a blob of its type, with a smaller picture of it."""

    item: Item
    content: dict[str, Any]
    data: bytes = b""
    media_type: str = ""
    thumbnail: bytes = b""
    size: int = field(default=0)


def prepare(item: Item, data: bytes) -> Prepared:
    """Return the item as it is stored; raises Malformed with a sentence that names it."""
    try:
        return _PREPARE.get(item.kind, _inline)(item, data)
    except (Malformed, BadPicture) as error:
        raise Malformed(f"{item.name}, item {item.index + 1}: {error}") from error


def _inline(item: Item, _: bytes) -> Prepared:
    content = packs.content_of(item.kind, item.content)
    return Prepared(item, content, size=len(json.dumps(content)))


def _picture(item: Item, data: bytes) -> Prepared:
    picture = pictures.look(data)
    return Prepared(
        item,
        {"width": picture.width, "height": picture.height, "type": picture.media_type},
        data=data,
        media_type=picture.media_type,
        thumbnail=picture.thumbnail,
        size=len(data) + len(picture.thumbnail),
    )


def _document(item: Item, data: bytes) -> Prepared:
    content = packs.document(item.kind, data)
    stored = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    if item.kind == "table":
        facts = {"rows": len(content["rows"]), "left_out": content["left_out"]}
    else:
        facts = {"traces": len(content["data"])}
    return Prepared(item, facts, data=stored, media_type=JSON, size=len(stored))


_PREPARE = {"image": _picture, "table": _document, "figure": _document}
