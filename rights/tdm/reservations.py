"""Read machine-readable reservations: TDMRep rules and training-mining assertions.

Every denial counts, however it is spelled: keys of C2PA 1.x count as those of CAWG, an unknown key
as everything that it could mean. What cannot be read is refused with a sentence; a denial is never
read as if it said nothing.
Sources: W3C TDMRep final report of 2024-05-10; CAWG training and data mining 1.1 of 2025-05-06;
C2PA 1.4, section 18.21 (`c2pa.training-mining`); PLUS data mining vocabulary of 2023.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from backline import uses
from rights.errors import Refused
from rights.models import Signal, Use
from rights.tdm import texts

LABEL = "cawg.training-mining"
# The assertion's keys and the uses that they stand for; other uses have keys of our own.
KEYS = uses.by_key()
# A reservation covers text and data mining; by law, training is a part of it.
RESERVED = KEYS[uses.MINING]
EVERY_USE = tuple(Use)
MOST_ENTRIES = 100
MAX_INFO = 500
Answer = Literal["allowed", "notAllowed", "constrained"]


@dataclass(frozen=True)
class Reservation:
    """One statement that was read, and the uses that it denies (none: it is only noted)."""

    scheme: Signal.Scheme
    key: str
    value: str
    info: str
    denied: tuple[Use, ...]


# --- Sites ------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One entry of tdmrep.json, or a page's own reservation (then `location` is empty)."""

    location: str
    reserved: bool
    policy: str


def read_tdmrep(content: bytes, *, path: str = "") -> list[Reservation]:
    """Read what a site reserves: from its tdmrep.json, for a path (the first matching rule) or the
    whole site (reserved if any rule reserves), or from the headers or meta elements of a page.

    `path` may be a full URL. Raises Refused, also where no rule matches: then nothing was read.
    """
    return read_rules(Statement.of(content), path=path)


class Statement(NamedTuple):
    """What somebody brought: its text, the JSON values in it, and names with values from the
    headers and meta elements of a page."""

    text: str
    values: Sequence[Any]
    pairs: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, content: bytes) -> "Statement":
        """Raises Refused for what is no text, and for JSON that cannot be read in full."""
        text = texts.text_of(content)
        page = texts.page_in(text)
        if page is not None:
            # Headers may stand above the page; a line of the page itself is none of them.
            above = text[: len(text) - len(page)]
            return cls(text, [], [*texts.headers(above), *texts.metas(page)])
        return cls(text, texts.json_in(text), list(texts.headers(text)))

    @property
    def reserves(self) -> bool:
        """Whether headers or meta elements speak of a reservation."""
        return any(_name(name) in PAGE_NAMES for name, _ in self.pairs)


PAGE_NAMES = frozenset({"tdm-reservation", "tdm-policy"})


def read_rules(statement: Statement, *, path: str = "") -> list[Reservation]:
    """Read the rules of a site, and what its headers say beside them. Raises Refused."""
    rules = [rule for value in statement.values for rule in _listed(value)]
    if statement.reserves or not statement.values:
        rules += _page_rule(statement.pairs)
    if not rules:
        raise Refused("nothing", "The file has no rule in it, so there is nothing to note.",
                      field="file")  # fmt: skip
    rule = _rule_that_counts(rules, path.strip())
    denied = RESERVED if rule.reserved else ()
    value = str(int(rule.reserved))
    return [Reservation(Signal.Scheme.TDMREP, "tdm-reservation", value, rule.policy, denied)]


def _rule_that_counts(rules: list[Rule], path: str) -> Rule:
    """Return the first rule that fits the path, or one that reserves if no path is given. What a
    page says of itself counts as well, and a denial before anything else."""
    located = [rule for rule in rules if rule.location]
    if path and located:
        of_page = [rule for rule in rules if not rule.location]
        rules = [rule for rule in located if fits(rule.location, path)][:1] + of_page
    if not rules:
        patterns = ", ".join(f"“{rule.location[:80]}”" for rule in located[:10])
        more = f" and {len(located) - 10} more" if len(located) > 10 else ""
        raise Refused(
            "no_rule",
            f"No rule of the file fits “{path[:200]}”, so nothing is noted. Its patterns: "
            f"{patterns}{more}.",
            field="path",
        )
    return next((rule for rule in rules if rule.reserved), rules[0])


def _listed(value: Any) -> Iterator[Rule]:
    """Yield the rules of a tdmrep.json; a single one may stand without the list."""
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


def _page_rule(pairs: Iterable[tuple[str, str]]) -> Iterator[Rule]:
    """Yield the one rule that a page's headers or meta elements state for the page."""
    by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        by_name.setdefault(_name(name), []).append(value)
    policy = _plain(next(iter(by_name.get("tdm-policy", ())), ""))
    values = by_name.get("tdm-reservation", ())
    if not values and not policy:
        raise _no_tdmrep(
            "it is neither a list of rules in JSON, nor a page or its headers with a "
            "tdm-reservation."
        )
    if not values:
        raise _no_tdmrep("there is a tdm-policy and no tdm-reservation.")
    # Where several values differ, the denial counts.
    yield Rule("", any(_reserved(value, "there") for value in values), policy)


def _reserved(value: Any, where: str) -> bool:
    text = str(value).strip().strip("\"'").strip().casefold()
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    if text in {"1", "true"}:
        return True
    if text in {"0", "false"}:
        return False
    raise _no_tdmrep(f"the tdm-reservation {where} is {value!r:.40}, neither 0 nor 1.")


def _no_tdmrep(why: str) -> Refused:
    return Refused("file", f"This is not a tdmrep.json: {why}", field="file")


def fits(location: str, path: str) -> bool:
    """Return whether a rule's location matches this path, as in robots.txt: a star is anything, a
    final dollar sign the end. Either may be a full URL; where both are, their sites have to be the
    same. Either may lack its first slash."""
    (site, pattern), (path_site, target) = _site_and_path(location), _site_and_path(path)
    if site and path_site and site != path_site:
        return False
    return _fits_pattern(pattern, target)


def _fits_pattern(pattern: str, target: str) -> bool:
    """Match without a regular expression, which many stars would keep busy for ever."""
    anchored = pattern.endswith("$")
    first, *rest = (pattern[:-1] if anchored else pattern).split("*")
    if not target.startswith(first):
        return False
    if not rest:
        return not anchored or target == first
    *between, last = rest
    at = len(first)
    for part in between:
        place = target.find(part, at)
        if place < 0:
            return False
        at = place + len(part)
    if anchored:
        return len(target) - len(last) >= at and target.endswith(last)
    return target.find(last, at) >= 0


def _site_and_path(text: str) -> tuple[str, str]:
    """Return the site (empty if not given) and the path with its query, unescaped."""
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
    """Read a training-mining assertion: bare, with its label, in a list of assertions, or in a
    manifest store as c2patool prints it. Raises Refused.

    Each of several manifests counts: what was derived from a file with a denial is not freer than
    that file. Constrained is a denial: a person has to ask whoever gave more information.
    """
    return read_entries(Statement.of(content).values)


def read_entries(values: Sequence[Any]) -> list[Reservation]:
    """Read every training-mining assertion in these values. Raises Refused."""
    if not values:
        raise _no_assertion("there is no JSON in it.")
    found = list(assertions_in(values))
    if not found:
        raise _no_assertion("there is no training-mining assertion in it.")
    return merged(reservation for data in found for reservation in entries_of(data))


def assertions_in(values: Sequence[Any]) -> Iterator[Any]:
    """Yield the data of every training-mining assertion; one may stand alone without its label."""
    for value in values:
        found = [data for label, data in _assertions(value) if is_training_mining(label)]
        if not found and isinstance(value, dict) and "entries" in _members(value):
            found = [value]
        yield from found


def is_training_mining(label: str) -> bool:
    """Return whether a label is of such an assertion: any maker, version or instance (`__1`)."""
    return "trainingmining" in re.sub(r"[^a-z]", "", label.casefold())


def _assertions(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield every label in the value with its data, at any depth."""
    if depth > texts.DEEPEST:
        raise _no_assertion("it lies deeper than any assertion does.")
    if isinstance(value, list):
        for item in value:
            yield from _assertions(item, depth + 1)
    elif isinstance(value, dict):
        label = value.get("label")
        if isinstance(label, str) and ("data" in value or is_training_mining(label)):
            # One without its data is not passed over: what it denies is somewhere else.
            yield label, value.get("data")
        for name, member in value.items():
            if is_training_mining(name):
                yield name, member
            elif not (isinstance(label, str) and name == "data"):
                yield from _assertions(member, depth + 1)


def labels_in(value: Any) -> Iterator[str]:
    """Yield the labels of the assertions in a value."""
    return (label for label, _ in _assertions(value))


def entries_of(data: Any) -> list[Reservation]:
    """Return the reservations in the data of one assertion, key by key. Raises Refused."""
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
    """Yield key and entry, from a map or from a list whose entries name their own keys."""
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
    values = members["use"] if isinstance(members["use"], list) else [members["use"]]
    answers = [_answer(key, value) for value in values]
    if not answers:
        raise _no_assertion(f"{key} has no use.")
    # The strictest of several answers counts.
    answer = next(
        candidate for candidate in ("notAllowed", "constrained", "allowed") if candidate in answers
    )
    # The specification's prose says `constraints_info`, but its schema counts. Both are read.
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
    spelling = re.sub(r"[\s_.-]+", "", str(value)).casefold()
    if isinstance(value, bool | str) and spelling in ANSWERS:
        return ANSWERS[spelling]
    raise _no_assertion(
        f"{key} says {value!r:.60}, which is neither allowed, notAllowed nor constrained."
    )


def uses_of(key: str) -> tuple[Use, ...]:
    """Return the uses a key stands for, whoever defined it; every use for an unknown key."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key.strip())
    name = re.sub(r"[\s-]+", "_", name).casefold()
    if name in KEYS:
        return KEYS[name]
    return KEYS.get(f"cawg.{name.rpartition('.')[2]}", EVERY_USE)


def merged(reservations: Iterable[Reservation]) -> list[Reservation]:
    """Return one reservation for each key: the strictest where there are several."""
    strictest: dict[tuple[str, str], Reservation] = {}
    order = {"notAllowed": 0, "constrained": 1}
    for reservation in sorted(
        reservations, key=lambda reservation: (reservation.key, order.get(reservation.value, 2))
    ):
        strictest.setdefault((reservation.scheme, reservation.key), reservation)
    return list(strictest.values())


def _no_assertion(why: str) -> Refused:
    return Refused("file", f"This is not a training-mining assertion: {why}", field="file")


# --- Names and texts --------------------------------------------------------------------------


def _plain(value: Any) -> str:
    """Return what is stored of a text: one line, of characters that every database takes."""
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:MAX_INFO]


def _members(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members by names in one spelling: lower case, hyphens, stripped."""
    return {_name(name): member for name, member in value.items()}


def names(value: Mapping[str, Any]) -> list[str]:
    """Return the members' names in one spelling."""
    return [_name(name) for name in value]


def _name(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip()).casefold()
