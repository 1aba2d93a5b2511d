"""Which file of a recording is to come, and its hash, as the technical details say.

ERN 4 has `DeliveryFile/File/URI` with `HashSum/Algorithm` and `HashSumValue`, ERN 3 `File/FileName`
with `HashSum/HashSum` and `HashSumAlgorithmType`. Previews and clips are other files.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from portal.inputs.text import unreadable
from rights.exchange.importing.ern.xml import child, children, is_true, listed_value, local, text
from rights.exchange.importing.rows import Row

LONGEST_NAME = 300
# From an algorithm's name without marks to the one we write and the length of its digest in bytes.
ALGORITHMS = {
    "md5": ("md5", 16), "sha1": ("sha1", 20), "sha": ("sha1", 20), "sha256": ("sha256", 32),
    "sha2256": ("sha256", 32),
}  # fmt: skip
DETAILS = ("TechnicalDetails", "TechnicalSoundRecordingDetails")


def read_file(row: Row, places: Iterable[Element]) -> None:
    """Note in the row the first whole file that these elements name; what is odd is a warning."""
    for file in _files(places):
        name = _name(file)
        if not name and child(file, "HashSum") is None:
            continue
        if len(name) > LONGEST_NAME or unreadable(name):
            row.add_problem(
                "file", f"“{name[:60]}” cannot be the name of a file; it is left out.", warning=True
            )
            name = ""
        row.expected_file, row.expected_hash = name, _hash(row, child(file, "HashSum"))
        return


def _files(places: Iterable[Element]) -> Iterator[Element]:
    for place in places:
        for details in children(place, *DETAILS):
            if any(is_true(text(details, name)) for name in ("IsPreview", "IsClip")):
                continue
            yield from (kid for kid in details.iter() if local(kid) in {"File", "DeliveryFile"})


def _name(file: Element) -> str:
    """Return the name without folders or address."""
    name = text(file, "FileName") or unquote(text(file, "URI") or text(file, "URL"))
    return re.split(r"[/\\]", name.strip())[-1]


def _hash(row: Row, hash_sum: Element | None) -> str:
    """Return the hash as `md5:` and hexadecimal digits; many senders write it in Base64."""
    value = text(hash_sum, "HashSumValue") or text(hash_sum, "HashSum")
    if hash_sum is None or not value:
        return ""
    named = _algorithm(hash_sum)
    known = ALGORITHMS.get(re.sub(r"[^a-z0-9]", "", named.casefold()))
    if known is None:
        row.add_problem(
            "expected_hash",
            f"The file's hash is of the kind “{named[:40]}”; only MD5, SHA-1 and SHA-256 are "
            "compared, so it is left out.",
            warning=True,
        )
        return ""
    algorithm, length = known
    digest = _digest(value, length)
    if not digest or not any(digest):
        row.add_problem(
            "expected_hash",
            f"“{value[:60]}” is no {algorithm.upper()} of a file; it is left out.",
            warning=True,
        )
        return ""
    return f"{algorithm}:{digest.hex()}"


def _algorithm(hash_sum: Element) -> str:
    for name in ("Algorithm", "HashSumAlgorithmType"):
        if (element := child(hash_sum, name)) is not None:
            inner = child(element, "HashSumAlgorithmType")
            value, user_defined = listed_value(element if inner is None else inner)
            return user_defined if value == "UserDefined" else value
    return ""


def _digest(value: str, length: int) -> bytes:
    """Return the bytes of hexadecimal or Base64 digits; nothing where the length is another."""
    try:
        if re.fullmatch(f"[0-9A-Fa-f]{{{2 * length}}}", value):
            return bytes.fromhex(value)
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return digest if len(digest) == length else b""
