"""The territories a permission can name: ISO 3166-1 codes, or the whole world."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

WORLD = "world"


@cache
def names() -> dict[str, str]:
    """Return code to English name, the world first; the list of the IANA time zone data."""
    text = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    countries = sorted(((name, code) for code, name in rows))
    return {WORLD: "The world"} | {code: name for name, code in countries}


def is_known(code: str) -> bool:
    return code in names()


def covers(granted: Sequence[str], code: str) -> bool:
    """The world covers every country; no list of countries ever adds up to the world."""
    return is_known(code) and (WORLD in granted or code in granted)


def meet(codes: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether some place lies in both."""
    return WORLD in (*codes, *other) or not set(codes).isdisjoint(other)
