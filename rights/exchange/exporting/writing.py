"""Write rows as CSV and as our JSON, and a party's participation as a list, in pieces of text."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

from django.conf import settings

from portal.http import csv_files
from rights.exchange.exporting import answers, reading
from rights.exchange.importing.columns import FIELDS, ROLES, escaped
from rights.exchange.importing.documents import FORMAT
from rights.exchange.importing.rows import (
    CreditRow,
    PartyRow,
    ReleaseRow,
    Row,
    ShareRow,
    WorkRow,
    folded,
)
from rights.models import Party, RecordingQuerySet, RoleCode, Use

COLUMNS = {
    RoleCode.MAIN_ARTIST: "main_artist", RoleCode.FEATURED_ARTIST: "featured",
    RoleCode.COMPOSER: "composers", RoleCode.MUSIC_PUBLISHER: "publisher",
}  # fmt: skip


# --- CSV --------------------------------------------------------------------------------------


def as_csv(recordings: RecordingQuerySet) -> Iterator[str]:
    """Yield a line for each recording and release, with the first work only. Other works, and
    roles and wordings that a cell cannot express, are in the JSON."""
    header: list[list[object]] = [[field.words for field in FIELDS]]
    lines = (line for part in reading.rows(recordings) for row in part for line in _csv_lines(row))
    yield from csv_files.document(chain(header, lines), exact=True)


def _csv_lines(row: Row) -> Iterator[list[object]]:
    cells = _cells(row)
    for release in row.releases or [ReleaseRow()]:
        release_cells = {
            "release_title": release.title,
            "upc": release.upc,
            "grid": release.grid,
            "label": escaped(release.label.name) if release.label else "",
            # A spreadsheet may know that this is a day, and write it in the order of its country.
            "release_date": date.fromisoformat(release.released_on) if release.released_on else "",
            "track_number": release.position or "",
        }
        values = cells | release_cells
        yield [values.get(field.name, "") for field in FIELDS]


def _cells(row: Row) -> dict[str, str]:
    work = row.works[0] if row.works else WorkRow()
    cells = {
        "title": row.title,
        "isrc": row.isrc,
        "mbid": row.mbid,
        "own": f"{settings.PORTAL_URL}/rights/recordings/{row.own}/",
        "expected_file": row.expected_file,
        "expected_hash": row.expected_hash,
        "work_title": work.title,
        "iswc": work.iswc,
        "work_mbid": work.mbid,
        "master_split": _shares(row.split),
        "composition_split": _shares(work.split),
    }
    cells |= {name: str(value) for name, value in row.tags.items()}
    named: dict[str, list[str]] = {}
    for credit in (*row.credits, *work.credits):
        column = None if credit.instrument else COLUMNS.get(RoleCode(credit.role))
        if column:
            named.setdefault(column, []).append(escaped(credit.party.name))
        elif text := _contributor(credit):
            named.setdefault("contributors", []).append(text)
    cells |= {name: "; ".join(names) for name, names in named.items()}
    if row.artists:
        numbers = row.artists[0].numbers
        cells |= {
            "artist_isni": numbers.get("isni", ""),
            "artist_ipi": numbers.get("ipi_name", ""),
            "artist_mbid": numbers.get("mbid", ""),
        }
    return cells


def _contributor(credit: CreditRow) -> str:
    """Return "Name (Role: instrument)", or nothing where an import would misread it."""
    role_name = credit.user_defined or str(RoleCode(credit.role).label)
    ambiguous = set("():") & set(role_name) or set("()") & set(credit.instrument)
    bare_role = "".join(
        letter for letter in folded(role_name) if letter.isascii() and letter.isalnum()
    )
    if ambiguous or (credit.user_defined and bare_role in ROLES):
        return ""
    role = f"{role_name}: {credit.instrument}" if credit.instrument else role_name
    return escaped(f"{credit.party.name} ({role})")


def _shares(shares: list[ShareRow]) -> str:
    entries = []
    for share in shares:
        # Read back word for word (EXPORTED_SHARE), also a name that ends in a dash or in a number.
        separator = " " if " = " in share.party.name else " = "
        entries.append(escaped(share.party.name) + separator + percent(share.ppm))
    return "; ".join(entries)


def percent(ppm: int) -> str:
    """Return parts per million in per cent, exactly and without trailing zeros."""
    return format((Decimal(ppm) / 10_000).normalize(), "f")


# --- JSON -------------------------------------------------------------------------------------


def as_json(recordings: RecordingQuerySet) -> Iterator[str]:
    yield (
        f'{{"format": {json.dumps(FORMAT)}, "portal": {json.dumps(settings.PORTAL_URL)}, '
        '"recordings": ['
    )
    separator = "\n"
    for part in reading.rows(recordings):
        yield separator + ",\n".join(
            json.dumps(_row_document(row), ensure_ascii=False) for row in part
        )
        separator = ",\n"
    yield "\n]}\n"


def _row_document(row: Row) -> dict[str, Any]:
    return _without_empty(
        {
            "id": row.own,
            "title": row.title,
            "isrc": row.isrc,
            "mbid": row.mbid,
            "file": row.expected_file,
            "hash": row.expected_hash,
            **row.tags,
            "credits": [_credit(credit) for credit in row.credits],
            "works": [
                _without_empty(
                    {
                        "id": work.own,
                        "title": work.title,
                        "iswc": work.iswc,
                        "mbid": work.mbid,
                        "credits": [_credit(credit) for credit in work.credits],
                        "split": [_share(share) for share in work.split],
                    }
                )
                for work in row.works
            ],
            "split": [_share(share) for share in row.split],
            "releases": [
                _without_empty(
                    {
                        "title": release.title,
                        "upc": release.upc,
                        "grid": release.grid,
                        "label": _party(release.label) if release.label else None,
                        "released_on": release.released_on,
                        "track": release.position,
                    }
                )
                for release in row.releases
            ],
        }
    )


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def _party(party: PartyRow) -> dict[str, Any]:
    return _without_empty({"name": party.name, "kind": party.kind, "numbers": party.numbers})


def _credit(credit: CreditRow) -> dict[str, Any]:
    return _without_empty(
        {
            "party": _party(credit.party),
            "role": credit.role,
            "user_defined": credit.user_defined,
            "instrument": credit.instrument,
            "display_text": credit.display_text,
        }
    )


def _share(share: ShareRow) -> dict[str, Any]:
    return {"party": _party(share.party), "ppm": share.ppm}


# --- Participation ----------------------------------------------------------------------------


def as_participation(recordings: RecordingQuerySet, party: Party) -> Iterator[str]:
    """Yield ISRC, use and yes or no, by one party's own grants: yes where its open ones (offered
    and suspended too) cover every right it holds. Recordings without ISRC are left out."""
    lines = (
        [isrc, use, "yes" if yes else "no"]
        for part in answers.lines(recordings, party, list(Use))
        for isrc, use, yes in part
    )
    yield from csv_files.document(chain([["ISRC", "use", "answer"]], lines), exact=True)
