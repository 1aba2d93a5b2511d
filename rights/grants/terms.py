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
    """Return each term by its name, in the order in which they are read."""
    names = territories.names()
    terms = {
        "Purposes": _listed([str(Purpose(purpose).label) for purpose in grant.purposes], "none"),
        "Territories": _listed(
            [names.get(territory, territory) for territory in grant.territories], "none"
        ),
        "Model family": grant.model_family or "every family of the lab",
        "Model versions": versions(grant),
        "Products": _listed(grant.products, "every product"),
    }
    if grant.use == Use.DISTRIBUTE:
        terms["Channels"] = _listed(
            [str(Channel(channel).label) for channel in grant.channels], "none"
        )
    terms["Condition"] = grant.condition or "none"
    terms["Starts"] = day(grant.starts_on)
    terms["Ends"] = day(grant.ends_on) if grant.ends_on else "open"
    return terms


# The words of terms that narrow nothing.
WIDE = ("every family of the lab", "every version", "every product", "none", "open")


def in_short(grant: Grant) -> str:
    """Return the terms as one line, without those that narrow nothing."""
    terms = in_words(grant)
    purposes, places = terms.pop("Purposes"), terms.pop("Territories")
    starts, ends = terms.pop("Starts"), terms.pop("Ends")
    narrow = {name.lower(): words.rstrip(".") for name, words in terms.items() if words not in WIDE}
    period = f"from {starts}" + (f" to {ends}" if ends != "open" else "")
    return "; ".join(
        [purposes.lower(), places, *(f"{name}: {words}" for name, words in narrow.items()), period]
    )


def difference(old: Grant, new: Grant) -> list[ChangedTerm]:
    """Return the terms in which the two versions differ."""
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
    """Return all versions of the grant, the first one first, declined ones included."""
    first = grant
    while first.replaces is not None:
        first = first.replaces
    grants, level = [first], [first]
    while level:
        rows = Grant.objects.filter(replaces__in=level).select_related("drafted_by", "approved_by")
        level = list(rows.order_by("version"))
        grants += level
    return grants


def day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _listed(words: list[str], nothing: str) -> str:
    return ", ".join(words) or nothing
