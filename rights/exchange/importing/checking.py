"""Check one row by itself: its numbers, the length of its texts, the sum of its shares.

Every problem is reported, not only the first. Numbers are compact afterwards, names clean.
"""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation

from backline import bounds
from portal.inputs.text import unreadable
from rights import identifiers
from rights.exchange.importing.rows import (
    ROLE_CODES,
    SCHEMES,
    CreditRow,
    PartyRow,
    ReleaseRow,
    Row,
    ShareRow,
    WorkRow,
    clean,
    folded,
)
from rights.identifiers import BadIdentifier
from rights.models import PPM, Party, RoleCode, Scheme
from rights.parties.parties import PARSERS

# What stands where a name should, and is nobody's.
NOBODY = frozenset({
    "various artists", "various", "v.a.", "va", "n/a", "unknown", "unknown artist", "none", "tba",
    "tbc", "tbd", "-", "--", "\u2013", "\u2014", "?", "verschiedene interpreten", "artistes divers",
})  # fmt: skip
LONGEST_TITLE = 300
LOST = bounds.LOST
LONGEST_NAME = 200
TEMPOS = (20, 400)


def check(row: Row) -> Row:
    """Return the same row with its problems; what is valid is in the form that is stored."""
    row.title = _text(row, "title", row.title, LONGEST_TITLE)
    if not row.title:
        row.add_problem("title", "The title is missing.")
    row.isrc = _number(row, "isrc", identifiers.isrc, row.isrc)
    row.mbid = _number(row, "mbid", identifiers.mbid, row.mbid)
    row.ref = _text(row, "ref", row.ref, 300)
    _check_tags(row)
    _check_file(row)
    row.credits = _credits(row, "main_artist", row.credits)
    row.split = _split(row, "master_split", row.split)
    for work in row.works:
        _check_work(row, work)
    # A release with a fault of its own waits, and the recording is entered without it.
    row.releases = [release for release in row.releases if _check_release(row, release)]
    if not row.artists:
        row.add_problem("main_artist", "No main artist is named.", warning=True)
    return row


def _text(row: Row, field: str, text: str, longest: int) -> str:
    text = clean(text)
    if LOST in text:
        row.add_problem(
            field,
            "A character in it could not be read: the file was written in another encoding. Choose "
            "it under “How the file is read”.",
        )
    if sentence := unreadable(text):
        row.add_problem(field, sentence)
    if len(text) > longest:
        row.add_problem(field, f"It is longer than {longest} characters.")
    return text


def _number(row: Row, field: str, read: Callable[[str], str], text: str) -> str:
    try:
        return read(text)
    except BadIdentifier as error:
        row.add_problem(field, str(error))
        return ""


def _check_file(row: Row) -> None:
    """Check what is said of the file that is to come; the recording does not wait for it."""
    since = len(row.problems)
    # Of a path, the name is what the file will be known by.
    name = re.split(r"[/\\]", row.expected_file)[-1]
    row.expected_file = _text(row, "expected_file", name, LONGEST_TITLE)
    row.expected_hash = _number(row, "expected_hash", identifiers.file_hash, row.expected_hash)
    for problem in row.problems[since:]:
        problem.warning = True
        problem.sentence = f"{problem.sentence[:360]} It is left out."
        if problem.field == "expected_file":
            row.expected_file = ""


def _check_tags(row: Row) -> None:
    tags: dict[str, object] = {}
    for name, longest in (("genre", 60), ("key", 20)):
        if text := _text(row, name, str(row.tags.get(name, "")), longest):
            tags[name] = text
    if bpm_text := clean(str(row.tags.get("tempo", ""))):
        tempo = _decimal(bpm_text)
        if tempo is None or not TEMPOS[0] <= tempo <= TEMPOS[1]:
            row.add_problem(
                "tempo",
                f"“{bpm_text[:40]}” is not a tempo of {TEMPOS[0]} to {TEMPOS[1]} beats a minute.",
            )
        else:
            tags["tempo"] = int(tempo) if tempo == int(tempo) else float(tempo)
    row.tags = tags


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _check_work(row: Row, work: WorkRow) -> None:
    work.title = _text(row, "work_title", work.title, LONGEST_TITLE)
    work.iswc = _number(row, "iswc", identifiers.iswc, work.iswc)
    work.mbid = _number(row, "work_mbid", identifiers.mbid, work.mbid)
    work.credits = _credits(row, "composers", work.credits)
    work.split = _split(row, "composition_split", work.split)


def _check_release(row: Row, release: ReleaseRow) -> bool:
    """Check a release, and return whether it can be entered with its recording."""
    since = len(row.problems)
    for fault in release.faults:
        row.add_problem(*fault)
    release.title = _text(row, "release_title", release.title, LONGEST_TITLE)
    release.upc = _number(row, "upc", identifiers.upc, release.upc)
    release.grid = _number(row, "grid", identifiers.grid, release.grid)
    if release.label:
        _check_party(row, "label", release.label)
    if release.released_on:
        try:
            release.released_on = date.fromisoformat(release.released_on.strip()).isoformat()
        except ValueError:
            row.add_problem(
                "release_date", f"“{release.released_on[:40]}” is not a day such as 2026-03-01."
            )
            release.released_on = ""
    return not row.release_waits(release, since)


def _check_party(row: Row, field: str, party: PartyRow) -> None:
    party.name = _text(row, field, party.name, LONGEST_NAME)
    if not party.name:
        row.add_problem(field, "A name is missing.")
    if party.kind and party.kind not in Party.Kind.values:
        row.add_problem(field, f"“{party.kind[:40]}” is not a kind of party.")
    numbers: dict[str, str] = {}
    for scheme, text in party.numbers.items():
        if scheme not in SCHEMES:
            row.add_problem(field, f"“{scheme[:40]}” is not a kind of number.")
        elif compact := _number(row, f"artist_{scheme}", PARSERS[Scheme(scheme)], text):
            numbers[scheme] = compact
    party.numbers = numbers


def _credits(row: Row, field: str, credit_rows: list[CreditRow]) -> list[CreditRow]:
    """Check the credits, and return each once: a file may name a composer in two columns."""
    unique: dict[tuple[str, str, str, str], CreditRow] = {}
    for credit in credit_rows:
        _check_party(row, field, credit.party)
        if folded(credit.party.name) in NOBODY:
            row.add_problem(
                field,
                f"“{credit.party.name}” is nobody in particular; it is left out.",
                warning=True,
            )
            continue
        if credit.role not in ROLE_CODES:
            row.add_problem(field, f"“{credit.role[:40]}” is not a role.")
        credit.user_defined = _text(row, field, credit.user_defined, 60)
        if credit.role == RoleCode.USER_DEFINED and not credit.user_defined:
            row.add_problem(field, f"Say what the role of {credit.party.name} is.")
        if credit.role != RoleCode.USER_DEFINED:
            credit.user_defined = ""
        credit.instrument = _text(row, field, credit.instrument, 100)
        credit.display_text = _text(row, field, credit.display_text, 200)
        key = (folded(credit.party.name), credit.role, credit.user_defined, credit.instrument)
        unique.setdefault(key, credit)
    return list(unique.values())


def _split(row: Row, field: str, shares: list[ShareRow]) -> list[ShareRow]:
    """Check the shares. A party that is listed twice gets the sum; the total must be 100 %."""
    by_party: dict[str, ShareRow] = {}
    for share in shares:
        _check_party(row, field, share.party)
        if folded(share.party.name) in NOBODY:
            row.add_problem(
                field, f"“{share.party.name}” is nobody in particular: who holds this share?"
            )
        key = folded(share.party.name)
        if key in by_party:
            by_party[key].ppm += share.ppm
            row.add_problem(
                field, f"{share.party.name} stands twice; the shares are added.", warning=True
            )
        else:
            by_party[key] = ShareRow(share.party, share.ppm)
    total = sum(share.ppm for share in by_party.values())
    if by_party and total != PPM:
        row.add_problem(
            field, f"The shares add up to {_percent(total)} %; they must make exactly 100 %."
        )
    return list(by_party.values())


def _percent(ppm: int) -> str:
    return format((Decimal(ppm) / 10_000).normalize(), "f")
