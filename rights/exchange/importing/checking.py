"""One row by itself: are its numbers right, its texts short enough, do its shares make a whole?

Every problem is told, not only the first. Numbers are compact afterwards, names clean.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation

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
    has_controls,
)
from rights.identifiers import BadIdentifier
from rights.models import PPM, Party, RoleCode, Scheme
from rights.parties.parties import READ

LONGEST_TITLE = 300
LONGEST_NAME = 200
TEMPOS = (20, 400)


def check(row: Row) -> Row:
    """The same row, with its problems; what is well is in the form in which it is kept."""
    row.title = _text(row, "title", row.title, LONGEST_TITLE)
    if not row.title:
        row.wrong("title", "The title is missing.")
    row.isrc = _number(row, "isrc", identifiers.isrc, row.isrc)
    row.mbid = _number(row, "mbid", identifiers.mbid, row.mbid)
    row.ref = _text(row, "ref", row.ref, 300)
    _check_tags(row)
    row.credits = _credits(row, "main_artist", row.credits)
    row.split = _split(row, "master_split", row.split)
    for work in row.works:
        _check_work(row, work)
    for release in row.releases:
        _check_release(row, release)
    if not row.artists:
        row.wrong("main_artist", "No main artist is named.", warning=True)
    return row


def _text(row: Row, field: str, text: str, longest: int) -> str:
    text = clean(text)
    if has_controls(text):
        row.wrong(field, "There is a character in it that is no text.")
    if len(text) > longest:
        row.wrong(field, f"It is longer than {longest} characters.")
    return text


def _number(row: Row, field: str, read: Callable[[str], str], text: str) -> str:
    try:
        return read(text)
    except BadIdentifier as error:
        row.wrong(field, str(error))
        return ""


def _check_tags(row: Row) -> None:
    tags: dict[str, object] = {}
    for name, longest in (("genre", 60), ("key", 20)):
        if text := _text(row, name, str(row.tags.get(name, "")), longest):
            tags[name] = text
    if said := clean(str(row.tags.get("tempo", ""))):
        tempo = _decimal(said)
        if tempo is None or not TEMPOS[0] <= tempo <= TEMPOS[1]:
            row.wrong(
                "tempo",
                f"“{said[:40]}” is not a tempo of {TEMPOS[0]} to {TEMPOS[1]} beats a minute.",
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


def _check_release(row: Row, release: ReleaseRow) -> None:
    release.title = _text(row, "release_title", release.title, LONGEST_TITLE)
    release.upc = _number(row, "upc", identifiers.upc, release.upc)
    release.grid = _number(row, "grid", identifiers.grid, release.grid)
    if release.label:
        _check_party(row, "label", release.label)
    if release.released_on:
        try:
            release.released_on = date.fromisoformat(release.released_on.strip()).isoformat()
        except ValueError:
            row.wrong(
                "release_date", f"“{release.released_on[:40]}” is not a day such as 2026-03-01."
            )
            release.released_on = ""


def _check_party(row: Row, field: str, party: PartyRow) -> None:
    party.name = _text(row, field, party.name, LONGEST_NAME)
    if not party.name:
        row.wrong(field, "A name is missing.")
    if party.kind and party.kind not in Party.Kind.values:
        row.wrong(field, f"“{party.kind[:40]}” is not a kind of party.")
    numbers: dict[str, str] = {}
    for scheme, text in party.numbers.items():
        if scheme not in SCHEMES:
            row.wrong(field, f"“{scheme[:40]}” is not a kind of number.")
        elif compact := _number(row, f"artist_{scheme}", READ[Scheme(scheme)], text):
            numbers[scheme] = compact
    party.numbers = numbers


def _credits(row: Row, field: str, told: list[CreditRow]) -> list[CreditRow]:
    """Checked, and each once: a file may name a composer in two columns."""
    found: dict[tuple[str, str, str, str], CreditRow] = {}
    for problem in told:
        _check_party(row, field, problem.party)
        if problem.role not in ROLE_CODES:
            row.wrong(field, f"“{problem.role[:40]}” is not a role.")
        problem.user_defined = _text(row, field, problem.user_defined, 60)
        if problem.role == RoleCode.USER_DEFINED and not problem.user_defined:
            row.wrong(field, f"Say what the role of {problem.party.name} is.")
        if problem.role != RoleCode.USER_DEFINED:
            problem.user_defined = ""
        problem.instrument = _text(row, field, problem.instrument, 100)
        problem.display_text = _text(row, field, problem.display_text, 200)
        key = (folded(problem.party.name), problem.role, problem.user_defined, problem.instrument)
        found.setdefault(key, problem)
    return list(found.values())


def _split(row: Row, field: str, shares: list[ShareRow]) -> list[ShareRow]:
    """A party that stands twice holds the sum. Nothing less than the whole is a split."""
    found: dict[str, ShareRow] = {}
    for share in shares:
        _check_party(row, field, share.party)
        key = folded(share.party.name)
        if key in found:
            found[key].ppm += share.ppm
            row.wrong(
                field, f"{share.party.name} stands twice; the shares are added.", warning=True
            )
        else:
            found[key] = ShareRow(share.party, share.ppm)
    total = sum(share.ppm for share in found.values())
    if found and total != PPM:
        row.wrong(field, f"The shares add up to {_percent(total)} %; they must make exactly 100 %.")
    return list(found.values())


def _percent(ppm: int) -> str:
    return format((Decimal(ppm) / 10_000).normalize(), "f")
