"""The territories a permission can name: ISO 3166-1 codes, or the whole world."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

WORLD = "world"


@cache
def names() -> dict[str, str]:
    """Code to English name, the world first. The list is the one of the IANA time zone data."""
    text = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    countries = sorted(((name, code) for code, name in rows))
    return {WORLD: "The world"} | {code: name for name, code in countries}


def is_known(code: str) -> bool:
    return code in names()


def covers(granted: Sequence[str], asked: str) -> bool:
    """The world covers every country; no list of countries ever adds up to the world."""
    return is_known(asked) and (WORLD in granted or asked in granted)


def meet(sequence: Sequence[str], other: Sequence[str]) -> bool:
    """Whether some place lies in both."""
    return WORLD in (*sequence, *other) or not set(sequence).isdisjoint(other)
