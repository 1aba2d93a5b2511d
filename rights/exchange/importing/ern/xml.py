"""A message as elements, one party, recording or release at a time.

Nothing in a file makes us fetch anything: document types, entities and external references are
refused before they are looked at, and so are elements too deep, too many or too long.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from rights.exchange.importing.rows import BadFile, clean

DEEPEST = 40
MOST_ATTRIBUTES = 30
# For one element's text or attribute, and for the bytes between two elements.
LONGEST_TEXT = 100_000
LONGEST_GAP = 1024 * 1024
# For one party, recording or release: elements in it, and bytes.
MOST_ELEMENTS = 200_000
MAX_ELEMENT_BYTES = 32 * 1024 * 1024
# The elements that are processed whole, and freed afterwards.
BUFFERED_ELEMENTS = frozenset(
    {"Party", "SoundRecording", "Release", "TrackRelease", "MusicalWork", "MessageControlType"}
)
# What a ResourceList may have beside sound recordings: one, and several.
OTHER_RESOURCES = {
    "Video": ("video", "videos"), "Image": ("image", "images"), "Text": ("text", "texts"),
    "SheetMusic": ("piece of sheet music", "pieces of sheet music"),
    "Software": ("program", "programs"), "MIDI": ("MIDI file", "MIDI files"),
}  # fmt: skip
ANY_OTHER = ("other resource", "other resources")

NAMESPACE = re.compile(
    r"https?://(?:service\.)?ddex\.net/xml/(?:[0-9]{4,8}/)?(?P<standard>[a-z-]+)/(?P<version>[0-9]+)"
)
# From 3.4 on: the versions before it lie at other addresses, each with a structure of its own.
VERSIONS = re.compile("3[4-8][0-9]?|4[0-9]{0,2}")
WHAT_IS_READ = "Read is a NewReleaseMessage of ERN 3.4 to 3.8.3 or ERN 4."
OTHER_MESSAGES = {
    "PurgeReleaseMessage": "it takes a release back and has no recordings to enter. An import "
    "takes nothing out; permissions are ended on their own pages.",
    "CatalogListMessage": "it lists a sender's releases without their recordings. Ask the sender "
    "for the NewReleaseMessage of each release.",
    "ManifestMessage": "it lists the files of a delivery. Import the messages that it lists.",
}


class _BoundedFile:
    """The file; raises BadFile where too much is read without an element starting or ending."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Bytes in all, bytes since the last element, and where the current whole element began.
        self.total = self.since = self.whole = 0
        self.elements = 0

    def begin(self) -> None:
        self.whole, self.elements = self.total, 0

    def heed(self) -> None:
        """Count an element; the current whole element may not grow without end."""
        self.since = 0
        self.elements += 1
        if self.elements > MOST_ELEMENTS or self.total - self.whole > MAX_ELEMENT_BYTES:
            raise BadFile("A party, recording or release is larger than any message needs.")

    def read(self, count: int = -1) -> bytes:
        piece = self._file.read(min(count, 65_536) if count > 0 else 65_536)
        self.total += len(piece)
        self.since += len(piece)
        if self.since > LONGEST_GAP:
            raise BadFile("One text, comment or attribute of the file is longer than 1 MB.")
        return piece


class MessageFile:
    """The file of a message. What it says of itself is known once its first element was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # The first digit of its version, and the language of what names none.
        self.major = 4
        self.language = ""
        # Resources that are no sound recordings, by their words; whole after one reading.
        self.others: Counter[tuple[str, str]] = Counter()

    def elements(self) -> Iterator[tuple[str, Element]]:
        """Yield the elements that are processed whole, and empty each after its use."""
        self._file.seek(0)
        self.others.clear()
        fed = _BoundedFile(self._file)
        depth, inside, path = 0, 0, list[Element]()
        try:
            events = iterparse(
                fed, events=("start", "end"), forbid_dtd=True, forbid_entities=True,
                forbid_external=True,
            )  # fmt: skip
            for event, element in events:
                fed.heed()
                name = local(element)
                if event == "start":
                    depth += 1
                    self._heed_start(element, path)
                    path.append(element)
                    inside += name in BUFFERED_ELEMENTS
                    continue
                depth -= 1
                path.pop()
                if len(element.text or "") > LONGEST_TEXT:
                    raise BadFile(f"The text of {name[:40]} is longer than any message needs.")
                if name in BUFFERED_ELEMENTS:
                    inside -= 1
                    if not inside:
                        yield name, element
                if not inside:
                    fed.begin()
                    element.clear()
                    if path:
                        path[-1].remove(element)
        except DefusedXmlException as error:
            raise BadFile(
                "The file declares a document type or entities. No DDEX message needs them, so "
                "it is not read."
            ) from error
        except ParseError as error:
            raise BadFile(f"The file is not well-formed XML: {error}.") from error
        except (UnicodeError, LookupError, ValueError) as error:
            if isinstance(error, BadFile):
                raise
            raise BadFile("The file's characters cannot be read; save it as UTF-8.") from error

    def _heed_start(self, element: Element, path: list[Element]) -> None:
        """Refuse an odd element; note what the first one says, and count other resources."""
        if len(path) >= DEEPEST:
            raise BadFile(f"Elements lie more than {DEEPEST} deep in one another.")
        if len(element.attrib) > MOST_ATTRIBUTES or any(
            len(value) > LONGEST_TEXT for value in element.attrib.values()
        ):
            raise BadFile("An element has more or longer attributes than any message needs.")
        if not path:
            self.major = int(_version(element)[0])
            self.language = element.attrib.get("LanguageAndScriptCode", "")
        elif local(path[-1]) == "ResourceList" and local(element) != "SoundRecording":
            self.others[OTHER_RESOURCES.get(local(element), ANY_OTHER)] += 1


def _version(root: Element) -> str:
    """Return the version of ERN in digits, such as 382; raises BadFile for any other message."""
    namespace, _, name = root.tag.rpartition("}")
    match = NAMESPACE.fullmatch(namespace.removeprefix("{"))
    if not match:
        raise BadFile(
            f"This is not a DDEX message that names its version: its first element is "
            f"“{name[:60]}”, in no namespace of ERN. {WHAT_IS_READ}"
        )
    standard, version = match["standard"], match["version"]
    if why := OTHER_MESSAGES.get(name):
        raise BadFile(f"This is a {name} of DDEX: {why}")
    if name != "NewReleaseMessage" or standard not in {"ern", "ern-main"}:
        raise BadFile(
            f"This is a {name[:60]} of DDEX ({standard[:20]} {_dotted(version)}). {WHAT_IS_READ}"
        )
    if standard == "ern-main" or not VERSIONS.fullmatch(version):
        raise BadFile(
            f"This is a message of ERN {_dotted(version)}, which is not read. {WHAT_IS_READ} Ask "
            "the sender for one of these."
        )
    return version


def _dotted(version: str) -> str:
    """Return the digits of a namespace as people write a version: 382 is 3.8.2."""
    return ".".join(version[:6])


# --- Looking into an element ------------------------------------------------------------------


def local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def children(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element if local(child) in names)


def child(element: Element | None, *names: str) -> Element | None:
    """Return the first element on the path of these names, each a child of the one before."""
    node = element
    for name in names:
        node = next(children(node, name), None) if node is not None else None
    return node


def text(element: Element | None, *names: str) -> str:
    node = child(element, *names)
    return clean(node.text or "") if node is not None else ""


def is_true(value: str | None) -> bool:
    """Whether it is a yes as XML's schema spells it."""
    return (value or "").strip() in {"true", "1"}


def listed_value(element: Element) -> tuple[str, str]:
    """Return a value of a DDEX list, and the user-defined value where the list has none."""
    value = child(element, "Value")
    value = element if value is None else value
    user = value.attrib.get("UserDefinedValue", "") or element.attrib.get("UserDefinedValue", "")
    return clean(value.text or ""), clean(user) or text(element, "UserDefinedValue")
