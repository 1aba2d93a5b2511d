"""The columns of a CSV file: our fields, other names for them, and rows made of cells."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from rights.exchange.importing.reading import BadDate, Reading, orders_of, read_date
from rights.exchange.importing.rows import (
    WORK_ROLES,
    CreditRow,
    PartyRow,
    ReleaseRow,
    Row,
    ShareRow,
    WorkRow,
    clean,
    folded,
    whole_number,
)
from rights.exchange.importing.tables import Table
from rights.models import Party, RoleCode


@dataclass(frozen=True)
class Field:
    """One of our fields: its name, its label, a hint on its content, other names of its column."""

    name: str
    words: str
    hint: str
    others: str = ""

    def knows(self, header: str) -> bool:
        names = {_bare(self.name), _bare(self.words)} | {
            _bare(other) for other in self.others.split(",")
        }
        return _bare(header) in names


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", folded(text))


SPLIT_HINT = "Name 50; Name 50, in per cent; exactly 100. Or “equal: Name; Name; Name”."
FIELDS = (
    Field("title", "Title", "The recording's title; needed.", "track title,song,track,track name"),
    Field("isrc", "ISRC", "US-SKG-19-12345.", "isrc code"),
    Field("main_artist", "Main artist", "Several with a semicolon between.",
          "artist,artists,main artists,performer,artist name,display artist,primary artist"),
    Field("featured", "Featured artist", "Several with a semicolon between.",
          "featured artists,feat,featuring"),
    Field("work_title", "Work title", "The composition's, where it is not the recording's.",
          "work,composition,song title,composition title"),
    Field("iswc", "ISWC", "T-034.524.680-1.", "iswc code"),
    Field("composers", "Composers", "Several with a semicolon between.",
          "composer,writers,writer,songwriter,songwriters,composer lyricist"),
    Field("publisher", "Publisher", "Several with a semicolon between.",
          "publishers,music publisher"),
    Field("contributors", "Contributors", "Name (Role); Name (Role: instrument).",
          "contributor,credits"),
    Field("master_split", "Master split", SPLIT_HINT,
          "master splits,master shares,recording split,master ownership"),
    Field("composition_split", "Composition split", SPLIT_HINT,
          "composition splits,composition shares,publishing split,writer split,work split"),
    Field("label", "Label", "Of the release.", "record label,label name"),
    Field("release_title", "Release title", "The album or single.", "album,release,album title"),
    Field("upc", "UPC or EAN", "036000291452.", "upc,ean,barcode,upc ean,gtin,icpn,release upc"),
    Field("grid", "GRid", "A1-2425G-ABC1234002-M.", "release grid"),
    Field("release_date", "Release date", "2026-03-01, or as chosen under “Dates”.",
          "released,date,released on"),
    Field("track_number", "Track number", "The place on the release, from 1.",
          "track no,track nr,position,sequence"),
    Field("mbid", "MusicBrainz recording id", "", "recording mbid,musicbrainz id"),
    Field("work_mbid", "MusicBrainz work id", "", ""),
    Field("genre", "Genre", "", "style,main genre"),
    Field("tempo", "Tempo", "Beats per minute.", "bpm"),
    Field("key", "Key", "A minor.", "musical key"),
    Field("artist_isni", "Artist's ISNI", "Of the first main artist.", "isni,main artist isni"),
    Field("artist_ipi", "Artist's IPI name number", "Of the first main artist.",
          "ipi,cae,ipi name number,main artist ipi,artist ipi"),
    Field("artist_mbid", "MusicBrainz artist id", "Of the first main artist.", ""),
    Field("ref", "Your own number", "What you call the recording, where it has no ISRC.",
          "id,reference,internal id,catalogue number,catalog number,track id"),
    Field("expected_file", "File name", "Of the audio file that is to come.",
          "file,filename,audio file,audio filename,wav"),
    Field("expected_hash", "File hash", "SHA-256, SHA-1 or MD5 of that file.",
          "hash,checksum,md5,sha1,sha256,sha-256"),
    Field("own", "Backline address", "In files that were exported here.", "backline"),
)  # fmt: skip
Cell = Callable[[str], str]
NAMES = tuple(field.name for field in FIELDS)
# For "Name (Role)": a role's code by its bare code or label.
ROLES = {_bare(code): code for code in RoleCode.values} | {
    _bare(str(label)): code for code, label in RoleCode.choices
}
CONTRIBUTOR = re.compile(r"(?P<name>.+?) ?\((?P<role>[^():]+)(?::(?P<instrument>[^()]*))?\)")
NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
# Between a name and its share: nothing, or what people write there, brackets included.
SHARE = re.compile(
    rf"(?P<name>.+?)[ :=|(\[\u2010-\u2015-]*(?:[ :=|(\[\u2010-\u2015]|(?<= )-)"
    rf"(?P<share>{NUMBER}) ?%?[)\]]?"
)
# As an export writes it: the name is all that comes before, whatever it ends with.
EXPORTED_SHARE = re.compile(rf"(?P<name>(?:(?! = ).)+) = (?P<share>{NUMBER})")
SHARE_FIRST = re.compile(rf"(?P<share>{NUMBER}) ?%[ :=|\u2010-\u2015-]*(?P<name>\D.*)")
EQUAL = re.compile(r"(?:equal|equally|equal shares) ?[:=] ?(?P<names>.+)", re.IGNORECASE)
# What people write between shares in place of a semicolon; not the comma of a decimal number.
OTHER_SEPARATORS = re.compile(r"\s*(?:,\s+|,(?=\D)|/|\||\+|&|\band\b)\s*")
# Fields that have several values: two columns of one name are one.
SEVERAL = {
    "main_artist", "featured", "composers", "publisher", "contributors", "master_split",
    "composition_split",
}  # fmt: skip
# What a spreadsheet shows where a formula failed.
FAILED = frozenset({"#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!"})
PPM = 1_000_000


def guess(header: Sequence[str]) -> dict[str, str]:
    """Map our fields to the file's columns, for the columns that have a name we know."""
    columns: dict[str, str] = {}
    for field in FIELDS:
        for column in header:
            if column not in columns.values() and field.knows(column):
                columns[field.name] = column
                break
    return columns


def guess_header(lines: Sequence[Sequence[str]]) -> int:
    """Return which line names the columns, from 1: the one with most names that we know; 0, the
    first that is not empty, where no other has more."""
    scores = [len(guess([cell.strip() for cell in cells])) for cells in lines]
    first = next((place for place, cells in enumerate(lines) if cells), 0)
    best = max(range(len(scores)), key=lambda place: (scores[place], -place), default=0)
    return best + 1 if scores and scores[best] > max(1, scores[first]) else 0


def date_samples(table: Table, columns: Mapping[str, str]) -> list[str]:
    """Return the dates of the first rows whose order is in question; none where none is."""
    column = columns.get("release_date", "")
    if column not in table.header:
        return []
    place = table.header.index(column)
    rows = (cells for _, cells in table.first_rows() if place < len(cells))
    return [text for cells in rows if (text := cells[place].strip()) and orders_of(text)]


def guess_order(samples: Sequence[str]) -> str:
    """Return the one order in which all of these dates can be read, or nothing."""
    orders = set.intersection(*map(orders_of, samples)) if samples else set()
    return next(iter(orders)) if len(orders) == 1 else ""


class CsvReader:
    """Reads rows of a table by a map of our fields to its columns."""

    def __init__(self, table: Table, columns: Mapping[str, str], *, portal: str = "") -> None:
        self._table = table
        self._portal = portal
        self._places = {
            name: [place for place, other in enumerate(table.header) if other == column]
            for name, column in columns.items()
            if column in table.header and name in NAMES
        }

    def rows(self, after: int = 0) -> Iterator[Row]:
        for number, cells in self._table.rows():
            if number <= after:
                continue
            found = {name: _texts(cells, places) for name, places in self._places.items()}
            values = {
                name: "; ".join(texts) if name in SEVERAL else next(iter(texts), "")
                for name, texts in found.items()
            }
            row = row_of(number, values, portal=self._portal, reading=self._table.reading)
            for name in (name for name, value in values.items() if value in FAILED):
                row.add_problem(name, f"“{values[name]}” is a failed formula of a spreadsheet.")
            for name, texts in found.items():
                if name not in SEVERAL and len(texts) > 1:
                    header = self._table.header[self._places[name][0]]
                    values_said = "”, “".join(texts)
                    row.add_problem(
                        name,
                        f"Several columns are called “{header}” and differ: “{values_said}”. "
                        "Give them names of their own.",
                    )
            if self._table.odd_quotes:
                row.add_problem(
                    "",
                    "A quotation mark within a text in quotation marks has to be doubled: "
                    '“12"" Mix”.',
                )
            if any(cell.strip() for cell in cells[len(self._table.header) :]):
                row.add_problem(
                    "",
                    "The row has more cells than the file has columns: is a text with a separator "
                    "in it not in quotation marks?",
                )
            yield row


def _texts(cells: Sequence[str], places: Sequence[int]) -> list[str]:
    """Return what the columns of one field say, each text once."""
    texts = (cells[place].strip() for place in places if place < len(cells))
    return list(dict.fromkeys(text for text in texts if text))


def row_of(
    number: int, cells: Mapping[str, str], *, portal: str = "", reading: Reading | None = None
) -> Row:
    def cell(name: str) -> str:
        return cells.get(name, "").strip()

    row = Row(number, title=cell("title"), isrc=cell("isrc"), mbid=cell("mbid"), ref=cell("ref"))
    if own := cell("own"):
        # An address of another portal counts as that source's own number (`ref`).
        ours = own.removeprefix(f"{portal}/rights/recordings/").rstrip("/") if portal else own
        row.own = whole_number(ours)
        row.ref = row.ref or ("" if row.own else own)
    work = WorkRow(title=cell("work_title"), iswc=cell("iswc"), mbid=cell("work_mbid"))
    for name in split_names(cell("main_artist")):
        row.credits.append(CreditRow(PartyRow(name), RoleCode.MAIN_ARTIST))
    _number_artist(row, cell)
    for name in split_names(cell("featured")):
        row.credits.append(CreditRow(PartyRow(name), RoleCode.FEATURED_ARTIST))
    for name in split_names(cell("composers")):
        work.credits.append(CreditRow(PartyRow(name), RoleCode.COMPOSER))
    for name in split_names(cell("publisher")):
        party = PartyRow(name, Party.Kind.PUBLISHER)
        work.credits.append(CreditRow(party, RoleCode.MUSIC_PUBLISHER))
    for text in _split(cell("contributors")):
        if credit := _contributor(row, text):
            (work if credit.role in WORK_ROLES else row).credits.append(credit)
    row.split = _shares(row, "master_split", cell("master_split"))
    work.split = _shares(row, "composition_split", cell("composition_split"))
    if work.title or work.iswc or work.mbid or work.credits or work.split:
        row.works.append(work)
    row.expected_file, row.expected_hash = cell("expected_file"), cell("expected_hash")
    row.tags = {tag: cell(tag) for tag in ("genre", "tempo", "key") if cell(tag)}
    _release(row, cell, reading.dates if reading else "")
    return row


def _number_artist(row: Row, cell: Cell) -> None:
    numbers = {
        scheme: cell(name)
        for scheme, name in (
            ("isni", "artist_isni"), ("ipi_name", "artist_ipi"), ("mbid", "artist_mbid")
        )
        if cell(name)
    }  # fmt: skip
    if numbers and not row.artists:
        row.add_problem("main_artist", "There is a number of the artist and no artist.")
    elif numbers:
        row.artists[0].numbers = numbers


def _release(row: Row, cell: Cell, order: str) -> None:
    labels = split_names(cell("label"))
    label = PartyRow(labels[0], Party.Kind.LABEL) if labels else None
    if len(labels) > 1:
        row.add_problem("label", "A release has one label; the first is kept.", warning=True)
    position = cell("track_number")
    if not (cell("upc") or cell("grid") or cell("release_title")):
        if label:
            # A label without a release is stored as a credit, so that it is not lost.
            row.credits.append(CreditRow(label, RoleCode.USER_DEFINED, "Label"))
        if position:
            row.add_problem("track_number", "There is a track number and no release.", warning=True)
        return
    release = ReleaseRow(
        title=cell("release_title"),
        upc=cell("upc"),
        grid=cell("grid"),
        label=label,
        position=whole_number(position),
    )
    if position and not release.position:
        release.faults.append(("track_number", f"“{position}” is not a track number."))
    try:
        day = cell("release_date")
        release.released_on = read_date(day, order).isoformat() if day else ""
    except BadDate as error:
        release.faults.append(("release_date", str(error)))
    row.releases.append(release)


def split_names(text: str) -> list[str]:
    """Return the names between semicolons; a backslash escapes a semicolon within a name."""
    return [name for name in (clean(_unescaped(part)) for part in _split(text)) if name]


def escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace(";", "\\;")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\;])", r"\1", text)


def _split(text: str) -> list[str]:
    """Return the parts between semicolons, still with their backslashes."""
    parts, part, letters = [], "", iter(text)
    for letter in letters:
        if letter == "\\":
            part += letter + next(letters, "")
        elif letter == ";":
            parts.append(part)
            part = ""
        else:
            part += letter
    return [piece for piece in [*parts, part] if piece.strip()]


def _contributor(row: Row, text: str) -> CreditRow | None:
    match = CONTRIBUTOR.fullmatch(clean(_unescaped(text)))
    if match is None:
        row.add_problem(
            "contributors", f"“{text.strip()}” does not say a role, such as “Jo Doe (Producer)”."
        )
        return None
    role_name = clean(match["role"])
    role = ROLES.get(_bare(role_name), RoleCode.USER_DEFINED.value)
    if role == RoleCode.USER_DEFINED:
        row.add_problem(
            "contributors",
            f"“{role_name}” is not a role of the list; it is kept as it is written.",
            warning=True,
        )
    instrument = clean(match["instrument"] or "")
    party = PartyRow(clean(match["name"]))
    return CreditRow(party, role, role_name if role == RoleCode.USER_DEFINED else "", instrument)


def _shares(row: Row, field: str, text: str) -> list[ShareRow]:
    """Read shares in per cent as whole parts per million; what cannot be read is a problem."""
    if (match := EQUAL.fullmatch(text.strip())) and len(names := split_names(match["names"])) > 1:
        return _equal_shares(names)
    shares = []
    for part in _split(text.replace("\n", ";")):
        plain = clean(_unescaped(part))
        match = EXPORTED_SHARE.fullmatch(plain)
        if match is None and (written := _with_semicolons(plain)):
            row.add_problem(field, f"Write semicolons between shares: “{written}”.")
            continue
        match = match or SHARE.fullmatch(plain) or SHARE_FIRST.fullmatch(plain)
        if match is None:
            row.add_problem(field, f"“{plain}” is not a name and a share, such as “Jo Doe 50”.")
            continue
        try:
            ppm = Decimal(match["share"].replace(",", ".")) * 10_000
        except InvalidOperation:
            row.add_problem(field, f"“{match['share']}” is not a share in per cent.")
            continue
        if ppm != ppm.to_integral_value() or not 0 < ppm <= PPM:
            row.add_problem(
                field,
                f"{match['share']} % lies outside of 0 to 100 %, or has more than four digits "
                "after the point.",
            )
            continue
        shares.append(ShareRow(PartyRow(clean(match["name"])), int(ppm)))
    return shares


def _with_semicolons(text: str) -> str:
    """Return the shares as they are to be written, if something else stands between them."""
    parts = [part for part in OTHER_SEPARATORS.split(text) if part]
    if len(parts) < 2 or not all(SHARE.fullmatch(part) for part in parts):
        return ""
    return "; ".join(parts)


def _equal_shares(names: list[str]) -> list[ShareRow]:
    """Return equal shares that add up to the whole: the first ones have a millionth more."""
    each, rest = divmod(PPM, len(names))
    return [ShareRow(PartyRow(name), each + (place < rest)) for place, name in enumerate(names)]
