"""A grant's terms line by line in words, and what a new version changes in them."""

from dataclasses import dataclass
from datetime import date

from rights import territories
from rights.models import Channel, Grant, Purpose, Use


@dataclass(frozen=True)
class ChangedTerm:
    """One term that differs between two versions."""

    name: str
    old: str
    new: str


def in_words(grant: Grant) -> dict[str, str]:
    """Each term by its name, in the order in which they are read."""
    names = territories.names()
    said = {
        "Purposes": _listed([str(Purpose(purpose).label) for purpose in grant.purposes], "none"),
        "Territories": _listed(
            [names.get(territory, territory) for territory in grant.territories], "none"
        ),
        "Model family": grant.model_family or "every family of the lab",
        "Model versions": versions(grant),
        "Products": _listed(grant.products, "every product"),
    }
    if grant.use == Use.DISTRIBUTE:
        said["Channels"] = _listed(
            [str(Channel(channel).label) for channel in grant.channels], "none"
        )
    said["Condition"] = grant.condition or "none"
    said["Starts"] = day(grant.starts_on)
    said["Ends"] = day(grant.ends_on) if grant.ends_on else "open"
    return said


# What a term says that narrows nothing.
WIDE = ("every family of the lab", "every version", "every product", "none", "open")


def in_short(grant: Grant) -> str:
    """The terms that narrow it, as one line."""
    said = in_words(grant)
    purposes, places = said.pop("Purposes"), said.pop("Territories")
    starts, ends = said.pop("Starts"), said.pop("Ends")
    narrow = {name.lower(): words.rstrip(".") for name, words in said.items() if words not in WIDE}
    term = f"from {starts}" + (f" to {ends}" if ends != "open" else "")
    return "; ".join(
        [purposes.lower(), places, *(f"{name}: {words}" for name, words in narrow.items()), term]
    )


def difference(old: Grant, new: Grant) -> list[ChangedTerm]:
    """The terms in which the two versions differ."""
    before, after = in_words(old), in_words(new)
    return [
        ChangedTerm(name, before.get(name, "none"), words)
        for name, words in after.items()
        if before.get(name, "none") != words
    ]


def versions(grant: Grant) -> str:
    first, last = grant.first_version, grant.last_version
    if first and last:
        return f"{first} alone" if first == last else f"{first} to {last}"
    if first:
        return f"from {first} on"
    return f"up to {last}" if last else "every version"


def chain(grant: Grant) -> list[Grant]:
    """All versions of the grant, the first one first; those that were declined among them."""
    first = grant
    while first.replaces is not None:
        first = first.replaces
    found, level = [first], [first]
    while level:
        rows = Grant.objects.filter(replaces__in=level).select_related("drafted_by", "approved_by")
        level = list(rows.order_by("version"))
        found += level
    return found


def day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _listed(words: list[str], nothing: str) -> str:
    return ", ".join(words) or nothing
