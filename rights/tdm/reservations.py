"""What sites and files say to machines, read: TDMRep rules and training-mining assertions.

Whatever says no is heard as a no, however it is spelled: keys of C2PA 1.x as those of CAWG, a key
that nobody knows as everything that it could mean. What cannot be read is refused with a sentence;
nothing that denies is ever read as if it said nothing.
Sources: W3C TDMRep final report of 2024-05-10; CAWG training and data mining 1.1 of 2025-05-06;
C2PA 1.4, section 18.21 (`c2pa.training-mining`); PLUS data mining vocabulary of 2023.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from backline import uses
from rights.errors import Refused
from rights.models import Signal, Use

LABEL = "cawg.training-mining"
# The assertion's keys and the uses that they stand for; other uses have keys of our own.
KEYS = uses.by_key()
# A reservation is of text and data mining, of which the law counts training as a part.
RESERVED = KEYS[uses.MINING]
EVERY_USE = tuple(Use)
MOST_BYTES = 256 * 1024
MOST_ENTRIES = 100
LONGEST_INFO = 500
Answer = Literal["allowed", "notAllowed", "constrained"]


@dataclass(frozen=True)
class Reservation:
    """One thing that was read, and the uses that it denies (none: it is only noted)."""

    scheme: Signal.Scheme
    key: str
    value: str
    info: str
    denied: tuple[Use, ...]


# --- Sites ------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One entry of tdmrep.json, or what a page says of itself (then `location` is empty)."""

    location: str
    reserved: bool
    policy: str


def read_tdmrep(content: bytes, *, path: str = "") -> list[Reservation]:
    """What a site reserves: by its tdmrep.json for a path (the first rule that fits) or for the
    whole site (reserved where any rule reserves), or by the headers or the meta elements of a page.

    `path` may be a whole address. Raises Refused, also where no rule fits: then nothing was read.
    """
    text = _text(content)
    rules = list(_rules(text))
    if not rules:
        raise Refused("nothing", "The file has no rule in it, so there is nothing to note.",
                      field="file")  # fmt: skip
    named = any(rule.location for rule in rules)
    fitting = [rule for rule in rules if not path.strip() or not named or fits(rule.location, path)]
    if not fitting:
        patterns = ", ".join(f"“{rule.location[:80]}”" for rule in rules[:10])
        more = f" and {len(rules) - 10} more" if len(rules) > 10 else ""
        raise Refused(
            "no_rule",
            f"No rule of the file fits “{path.strip()[:200]}”, so nothing is noted. Its patterns: "
            f"{patterns}{more}.",
            field="path",
        )
    if path.strip() and named:
        fitting = fitting[:1]
    rule = next((rule for rule in fitting if rule.reserved), fitting[0])
    denied = RESERVED if rule.reserved else ()
    value = str(int(rule.reserved))
    return [Reservation(Signal.Scheme.TDMREP, "tdm-reservation", value, rule.policy, denied)]


def _rules(text: str) -> Iterator[Rule]:
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start in {"[", "{"}:
        yield from _listed(_parsed(text))
    elif start == "<":
        yield from _said_once(_metas(text))
    else:
        lines = (line.partition(":") for line in text.splitlines())
        yield from _said_once((name, value) for name, _, value in lines)


def _listed(value: Any) -> Iterator[Rule]:
    """The entries of a tdmrep.json; one alone may stand without the list."""
    rules = [value] if isinstance(value, dict) and value else value
    if not isinstance(rules, list):
        raise _no_tdmrep("it is a list of rules.")
    for place, entry in enumerate(rules, start=1):
        members = _members(entry) if isinstance(entry, dict) else {}
        location = members.get("location")
        if not isinstance(location, str) or not 0 < len(location.strip()) <= 1_000:
            raise _no_tdmrep(f"rule {place} has no location.")
        if "tdm-reservation" not in members:
            raise _no_tdmrep(f"rule {place} has no tdm-reservation.")
        reserved = _reserved(members["tdm-reservation"], f"of rule {place}")
        yield Rule(location.strip(), reserved, _plain(members.get("tdm-policy", "")))


def _said_once(pairs: Iterable[tuple[str, str]]) -> Iterator[Rule]:
    """The rule that headers or meta elements tell, of the page that they stand in."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(_name(name), []).append(value)
    policy = _plain(next(iter(found.get("tdm-policy", ())), ""))
    values = found.get("tdm-reservation", ())
    if not values and not policy:
        raise _no_tdmrep(
            "it is neither a list of rules in JSON, nor a page or its headers with a "
            "tdm-reservation."
        )
    if not values:
        raise _no_tdmrep("there is a tdm-policy and no tdm-reservation.")
    # Told twice and otherwise: the no counts.
    yield Rule("", any(_reserved(value, "there") for value in values), policy)


def _reserved(value: Any, where: str) -> bool:
    said = str(value).strip().strip("\"'").strip().casefold()
    if isinstance(value, float) and value == int(value):
        said = str(int(value))
    if said in {"1", "true"}:
        return True
    if said in {"0", "false"}:
        return False
    raise _no_tdmrep(f"the tdm-reservation {where} is {value!r:.40}, neither 0 nor 1.")


def _no_tdmrep(why: str) -> Refused:
    return Refused("file", f"This is not a tdmrep.json: {why}", field="file")


class _Metas(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name.casefold(): value or "" for name, value in attrs}
        name = given.get("name") or given.get("property") or given.get("http-equiv") or ""
        if tag == "meta" and name:
            self.found.append((name, given.get("content", "")))


def _metas(text: str) -> list[tuple[str, str]]:
    reader = _Metas()
    reader.feed(text)
    return reader.found


def fits(location: str, path: str) -> bool:
    """Whether a rule's location is of this path, as in robots.txt: a star is anything, a dollar
    sign at the end is the end. Either may be a whole address, and then its site has to be the same;
    either may lack its first stroke."""
    (site, pattern), (asked, place) = _place(location), _place(path)
    if site and asked and site != asked:
        return False
    ends = pattern.endswith("$")
    parts = (pattern[:-1] if ends else pattern).split("*")
    found = ".*".join(re.escape(part) for part in parts)
    return re.match(found + (r"\Z" if ends else ""), place, re.DOTALL) is not None


def _place(text: str) -> tuple[str, str]:
    """The site (empty: not said) and the path with its question, unescaped."""
    text = text.strip()
    site = ""
    if re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//", text):
        try:
            parts = urlsplit(text)
            site = (parts.hostname or "").rstrip(".")
            port = parts.port
        except ValueError:
            return "", text
        if port not in {None, 80, 443}:
            site += f":{port}"
        text = parts.path + (f"?{parts.query}" if parts.query else "")
    text = unquote(text.partition("#")[0])
    text = text.removeprefix(".") if text.startswith("./") else text
    return site, text if text.startswith(("/", "*")) else f"/{text}"


# --- Assertions in files ------------------------------------------------------------------------


def read_assertion(content: bytes) -> list[Reservation]:
    """A training-mining assertion: bare, with its label, in a list of assertions, or in a manifest
    store as c2patool prints it. Raises Refused.

    Of several manifests each is heard: what was made of a file that says no is not freer than that
    file. Constrained is a denial: whoever gave more information is asked by a person.
    """
    value = _parsed(_text(content))
    found = [data for label, data in _assertions(value) if is_training_mining(label)]
    if not found and isinstance(value, dict) and "entries" in _members(value):
        found = [value]
    if not found:
        raise _no_assertion("there is no training-mining assertion in it.")
    return merged(said for data in found for said in entries_of(data))


def is_training_mining(label: str) -> bool:
    """By any maker, any version, and of several in one manifest (`__1`)."""
    return "trainingmining" in re.sub(r"[^a-z]", "", label.casefold())


def _assertions(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every label in it with its data, wherever it stands."""
    if depth > 12:
        raise _no_assertion("it lies deeper than any assertion does.")
    if isinstance(value, list):
        for rule in value:
            yield from _assertions(rule, depth + 1)
    elif isinstance(value, dict):
        label = value.get("label")
        if isinstance(label, str) and "data" in value:
            yield label, value["data"]
        for name, value_of in value.items():
            if is_training_mining(name):
                yield name, value_of
            elif not (isinstance(label, str) and name == "data"):
                yield from _assertions(value_of, depth + 1)


def entries_of(data: Any) -> list[Reservation]:
    """What the data of one assertion says, key by key. Raises Refused."""
    while isinstance(data, dict) and "entries" not in _members(data) and "data" in _members(data):
        data = _members(data)["data"]
    if not isinstance(data, dict) or "entries" not in _members(data):
        raise _no_assertion("it has no entries.")
    entries = list(_keyed(_members(data)["entries"]))
    if not entries:
        raise _no_assertion("its entries are empty, so it says nothing.")
    if len(entries) > MOST_ENTRIES:
        raise _no_assertion(f"it has more than {MOST_ENTRIES} entries.")
    return [_entry(key, entry) for key, entry in entries]


def _keyed(entries: Any) -> Iterator[tuple[str, Any]]:
    """Key and entry, of a map or of a list whose entries name their keys themselves."""
    if isinstance(entries, dict):
        yield from entries.items()
        return
    if not isinstance(entries, list):
        raise _no_assertion("its entries are neither a map nor a list.")
    for entry in entries:
        members = _members(entry) if isinstance(entry, dict) else {}
        key = next((members[name] for name in ("key", "label", "name") if name in members), None)
        if isinstance(key, str):
            yield key, entry
        elif isinstance(entry, dict) and entry:
            yield from entry.items()
        else:
            raise _no_assertion("an entry of its list names no key.")


def _entry(key: str, entry: Any) -> Reservation:
    if len(key) > 100 or not key.strip() or not key.strip().isprintable():
        raise _no_assertion(f"the key “{key[:40]}” is none.")
    members = _members(entry) if isinstance(entry, dict) else {"use": entry}
    if "use" not in members:
        raise _no_assertion(f"{key} has no use.")
    given = members["use"] if isinstance(members["use"], list) else [members["use"]]
    answers = [_answer(key, entry) for entry in given]
    if not answers:
        raise _no_assertion(f"{key} has no use.")
    # Of several the strictest counts.
    answer = next(
        strictest for strictest in ("notAllowed", "constrained", "allowed") if strictest in answers
    )
    # The specification's prose says `constraints_info`; its schema is what counts. Both are noted.
    info = members.get("constraint-info", members.get("constraints-info", ""))
    return Reservation(
        Signal.Scheme.CAWG,
        key.strip(),
        answer,
        _plain(info),
        () if answer == "allowed" else uses_of(key),
    )


ANSWERS: Mapping[str, Answer] = {
    "allowed": "allowed", "allow": "allowed", "permitted": "allowed", "yes": "allowed",
    "true": "allowed", "notallowed": "notAllowed", "disallowed": "notAllowed",
    "disallow": "notAllowed", "notpermitted": "notAllowed", "prohibited": "notAllowed",
    "forbidden": "notAllowed", "denied": "notAllowed", "deny": "notAllowed", "no": "notAllowed",
    "false": "notAllowed", "none": "notAllowed", "constrained": "constrained",
    "conditional": "constrained",
}  # fmt: skip


def _answer(key: str, value: Any) -> Answer:
    said = re.sub(r"[\s_.-]+", "", str(value)).casefold()
    if isinstance(value, bool | str) and said in ANSWERS:
        return ANSWERS[said]
    raise _no_assertion(
        f"{key} says {value!r:.60}, which is neither allowed, notAllowed nor constrained."
    )


def uses_of(key: str) -> tuple[Use, ...]:
    """What a key stands for, whoever defined it; one that is not known, everything."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key.strip())
    name = re.sub(r"[\s-]+", "_", name).casefold()
    if name in KEYS:
        return KEYS[name]
    return KEYS.get(f"cawg.{name.rpartition('.')[2]}", EVERY_USE)


def merged(said: Iterable[Reservation]) -> list[Reservation]:
    """One of each key; where it is said several times the strictest."""
    found: dict[tuple[str, str], Reservation] = {}
    order = {"notAllowed": 0, "constrained": 1}
    for reservation in sorted(said, key=lambda one: (one.key, order.get(one.value, 2))):
        found.setdefault((reservation.scheme, reservation.key), reservation)
    return list(found.values())


def _no_assertion(why: str) -> Refused:
    return Refused("file", f"This is not a training-mining assertion: {why}", field="file")


# --- Reading JSON -------------------------------------------------------------------------------


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise Refused("file", "The file is longer than any signal needs.", field="file")
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused("file", "The file is not text: save it as UTF-8.", field="file") from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused("file", "The file is not JSON.", field="file") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands there twice would be read as what stands there last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused("file", f"“{twice[:60]}” stands twice in the same place of the file.",
                      field="file")  # fmt: skip
    return found


def _plain(value: Any) -> str:
    """What is kept of somebody's words: one line, of characters that every database takes."""
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[
        :LONGEST_INFO
    ]


def _members(value: Mapping[str, Any]) -> dict[str, Any]:
    """By names in one spelling: small letters, strokes, no spaces around."""
    return {_name(name): one for name, one in value.items()}


def _name(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip()).casefold()
