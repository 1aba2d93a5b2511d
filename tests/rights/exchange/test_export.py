"""The catalogue as files, and back: an export that is imported changes nothing."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.http import csv_files
from portal.models import User
from rights.catalogue import catalogue
from rights.exchange.exporting.ern import as_ern
from rights.exchange.exporting.writing import as_csv, as_json, percent
from rights.exchange.importing import columns, jobs, tables
from rights.exchange.importing.checking import check
from rights.exchange.importing.documents import JsonReader
from rights.exchange.importing.reading import read_date
from rights.exchange.importing.rows import CreditRow, PartyRow, Row, ShareRow, WorkRow
from rights.models import Recording, RecordingQuerySet, RoleCode
from rights.parties import splits
from tests.catalogue import make_party, make_recording
from tests.examples import examples
from tests.rights.exchange.importing import (
    counts,
    imported,
    song,
    table,
    told,
    uploaded,
    work_off,
)

Export = Callable[[RecordingQuerySet], Iterator[str]]
FILES = [(as_csv, "x.csv"), (as_json, "x.json"), (as_ern, "x.xml")]


def world(rosa: User) -> None:
    """Imported ones, and some made by hand with all that a catalogue may hold."""
    imported(rosa, table([song(number) for number in range(12)]))
    imported(rosa, table([song(90, ISRC="", UPC=""), song(91, ISRC="", Artist="")]), "odd.csv")
    noor = make_party(rosa, "Noor; Haddad (live): ", identifiers={"isni": "000000012281955X"})
    other = make_party(rosa, 'Quotes "and" \\ more & <less>')
    odd = make_recording(rosa, noor, title='Odd, "title"; & <x>')
    catalogue.add_credit(
        by=rosa, subject=odd, party=other, role="StudioMusician", instrument="viola",
        display_text="played by",
    )  # fmt: skip
    catalogue.add_credit(
        by=rosa, subject=odd, party=other, role="UserDefined", user_defined="Whistler"
    )
    splits.propose(by=rosa, subject=odd, lines={noor: 1, other: 999_999})
    several = catalogue.announce_recording(
        by=rosa, title="Medley", works=[catalogue.add_work(by=rosa, title=t) for t in "AB"]
    )
    catalogue.add_credit(by=rosa, subject=several.works.all()[0], party=other, role="Lyricist")
    catalogue.add_release(by=rosa, title="No number", label=other, tracks=[several, odd])


def saved_by_a_spreadsheet(text: str, *, separator: str, date_format: str, encoding: str) -> bytes:
    """What Excel makes of a CSV file that somebody opens and saves, in one country or another."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    # It also likes to add cells.
    writer.writerows([[_shown(cell, date_format) for cell in row] + [""] for row in rows])
    return out.getvalue().encode(encoding)


def _shown(cell: str, date_format: str) -> str:
    if re.fullmatch(r"[0-9]+", cell):
        number = str(int(cell))
        return number if len(number) < 12 else f"{float(number):.5E}"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
        return read_date(cell).strftime(date_format)
    if re.fullmatch(r"true|false", cell, re.IGNORECASE):
        return cell.upper()
    return cell


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("separator", "date_format", "encoding", "dates"),
    [
        (",", "%-m/%-d/%Y", "utf-8-sig", "mdy"),
        (";", "%d.%m.%Y", "cp1252", "dmy"),
        (";", "%d/%m/%y", "utf-8-sig", "dmy"),
    ],
    ids=["United States", "Germany", "Britain"],
)
def test_an_export_that_a_spreadsheet_has_saved_changes_nothing(
    rosa: User, separator: str, date_format: str, encoding: str, dates: str
) -> None:
    world(rosa)
    rows = [
        song(50, Title="007"),
        song(51, Title="'07"),
        song(52, Title="3/4"),
        song(53, Title="True"),
    ]
    days = {"Release date": "2026-03-01"}
    imported(rosa, table([row | days for row in rows]), "numbers.csv")
    before = counts()
    text = "".join(as_csv(Recording.objects.all()))
    assert text[0] == "\ufeff"
    saved = saved_by_a_spreadsheet(
        text, separator=separator, date_format=date_format, encoding=encoding
    )
    job = uploaded(rosa, saved, "x.csv")
    reading = replace(jobs.reading_of(job), dates=dates)
    jobs.check(job, by=rosa, columns=job.columns, reading=reading)
    work_off()
    job.refresh_from_db()
    assert (job.added, job.changed, job.refused) == (0, 0, 0), told(job)
    assert job.unchanged == Recording.objects.count()
    assert counts() == before


@pytest.mark.django_db
@pytest.mark.parametrize(("export", "name"), FILES, ids=["csv", "json", "ern"])
def test_what_was_exported_changes_nothing_when_it_is_imported(
    rosa: User, export: Export, name: str
) -> None:
    world(rosa)
    before = counts()
    text = "".join(export(Recording.objects.all()))
    job = imported(rosa, text.encode(), name)
    assert (job.added, job.changed, job.refused) == (0, 0, 0), told(job)
    assert job.unchanged >= Recording.objects.count()
    assert counts() == before


@pytest.mark.django_db
def test_json_carries_all_of_a_recording_to_another_portal(rosa: User) -> None:
    world(rosa)
    text = "".join(as_json(Recording.objects.all())).replace("http://127.0.0.1", "http://other")
    assert json.loads(text)["portal"].startswith("http://other")
    rows = [check(row) for row in JsonReader(io.BytesIO(text.encode()), portal="x").rows()]
    assert not any(row.refused for row in rows)
    assert {row.own for row in rows} == {None}
    odd = next(row for row in rows if row.title.startswith("Odd"))
    assert [share.ppm for share in odd.split] == [1, 999_999]
    assert any(credit.display_text == "played by" for credit in odd.credits)


@pytest.mark.django_db
def test_json_of_another_shape_is_refused_with_its_place(rosa: User) -> None:
    head = '{"format": "backline.catalogue/1", "recordings": ['
    good = '{"title": "One", "isrc": "USSKG1912345"}'
    job = imported(
        rosa, (head + good + ', {"title": 7, "colour": "red"}, "text"]}').encode(), "x.json"
    )
    assert (job.added, job.refused) == (1, 2)
    assert {field for _, field, _ in told(job)} >= {"title", "colour", "recording"}


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{", '{"format": "other/1", "recordings": []}', '{"recordings": [{}]}',
        '{"format": "backline.catalogue/1", "recordings": [NaN]}',
        '{"format": "backline.catalogue/1", "recordings": [' + "[" * 100_000,
        '{"format": "backline.catalogue/1", "recordings": ["' + "x" * 3_000_000,
    ],
    ids=["list", "cut", "other", "no format", "nan", "deep", "long"],
)  # fmt: skip
def test_json_that_is_not_ours_ends_in_a_sentence(text: str) -> None:
    from rights.exchange.importing.rows import BadFile

    with pytest.raises(BadFile):
        list(JsonReader(io.BytesIO(text.encode())).rows())


HEAD = '"format": "backline.catalogue/1", "recordings": ['
SONG = '{"title": "One"}'


def why_refused(text: str) -> str:
    from rights.exchange.importing.rows import BadFile

    with pytest.raises(BadFile) as refused:
        list(JsonReader(io.BytesIO(text.encode())).rows())
    return str(refused.value)


@pytest.mark.parametrize(
    "after",
    [f"{{{HEAD}{SONG}]}}", "}", "x", f"\n\n{SONG}", " " * 70_000 + "1"],
    ids=["document", "brace", "letter", "recording", "far away"],
)
def test_what_follows_a_document_is_not_lost_in_silence(after: str) -> None:
    assert "Something follows the last brace" in why_refused(f"{{{HEAD}{SONG}]}}{after}")


def test_spaces_may_follow_a_document() -> None:
    text = f"{{{HEAD}{SONG}]}}" + " \r\n\t" * 30_000
    assert [row.title for row in JsonReader(io.BytesIO(text.encode())).rows()] == ["One"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'{{{HEAD}{{"title": "a", "title": "b"}}]}}', "title"),
        (f'{{{HEAD}{{"releases": [{{"upc": "1", "upc": "1"}}]}}]}}', "upc"),
        (f"{{{HEAD}{SONG}], {HEAD}{SONG}]}}", "format"),
        (f'{{{HEAD}{SONG}], "recordings": [{SONG}]}}', "recordings"),
        (f'{{"portal": "a", "portal": "b", {HEAD}]}}', "portal"),
        (f'{{{HEAD}{{"\\ud800": 1, "\\ud800": 2}}]}}', "\N{REPLACEMENT CHARACTER}"),
    ],
    ids=["recording", "release", "format", "recordings", "head", "surrogate"],
)
def test_a_field_that_stands_twice_is_refused(text: str, name: str) -> None:
    assert f"“{name}” stands twice" in why_refused(text)


def test_a_number_of_too_many_digits_is_refused() -> None:
    assert "a number too long" in why_refused(f'{{{HEAD}{{"id": {"9" * 5_000}}}]}}')


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("faulty", "field", "sentence"),
    [
        ('"id": 1' + "0" * 30, "id",
         "id: the number may be 9,223,372,036,854,775,807 at most."),
        ('"id": -1', "id", "id: the number has to be 0 or more."),
        ('"works": [{"id": 9223372036854775808}]', "works.0.id",
         "works.0.id: the number may be 9,223,372,036,854,775,807 at most."),
        ('"credits": [{"party": 7, "role": "MainArtist"}]', "credits.0.party",
         "credits.0.party: an object is expected here."),
        ('"credits": 7', "credits", "credits: a list is expected here."),
        ('"credits": [{"role": "MainArtist"}]', "credits.0.party",
         "credits.0.party: it is missing."),
        ('"isrc": 7', "isrc", "isrc: a text is expected here."),
        ('"tempo": "fast"', "tempo", "tempo: a number is expected here."),
        ('"colour": "red"', "colour", "colour: there is no such field."),
        (r'"\u0000": 1', "\N{REPLACEMENT CHARACTER}",
         "\N{REPLACEMENT CHARACTER}: there is no such field."),
        (r'"\ud800": 1', "recording",
         "The recording: there is a character in it that is no text."),
        (r'"isrc": "\ud800"', "isrc", "isrc: there is a character in it that is no text."),
        (f'"ref": "{"x" * 2_001}"', "ref", "ref: the text is longer than 2,000 characters."),
    ],
    ids=["id", "negative", "work", "object", "list", "missing", "text", "tempo", "field", "nul",
         "half", "half value", "long"],
)  # fmt: skip
def test_a_fault_is_its_recordings_alone_and_told_in_words(
    rosa: User, faulty: str, field: str, sentence: str
) -> None:
    text = f'{{{HEAD}{{"title": "Two", {faulty}}}, {SONG}]}}'
    job = imported(rosa, text.encode(), "x.json")
    assert (job.added, job.refused) == (1, 1), told(job)
    assert [
        (name, said) for row, name, said in told(job) if row == 1 and name != "main_artist"
    ] == [(field, sentence)]


@pytest.mark.django_db
@pytest.mark.parametrize("tempo", ["1" + "0" * 400, "1e999", "-1e999"])
def test_a_tempo_that_no_column_holds_is_a_problem_of_its_row(rosa: User, tempo: str) -> None:
    text = f'{{{HEAD}{{"title": "Two", "tempo": {tempo}}}, {SONG}]}}'
    job = imported(rosa, text.encode(), "x.json")
    assert (job.added, job.refused) == (1, 1), told(job)
    assert "tempo" in {field for _, field, _ in told(job)}


def test_the_largest_number_of_a_recording_is_read() -> None:
    text = f'{{"portal": "x", {HEAD}{{"title": "One", "id": {2**63 - 1}}}]}}'
    (row,) = JsonReader(io.BytesIO(text.encode()), portal="x").rows()
    assert row.own == 2**63 - 1


# What a name may hold in a file: no line ends and no control characters.
NAME = st.text(
    st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30
).filter(lambda name: bool(name.strip()))


@settings(max_examples=examples(300))
@given(
    title=NAME,
    names=st.lists(NAME, min_size=1, max_size=4),
    roles=st.lists(st.sampled_from(sorted(set(RoleCode.values) - {"UserDefined"})), max_size=4),
    cut=st.integers(1, 999_999),
)
def test_any_names_and_shares_survive_a_csv(
    title: str, names: list[str], roles: list[str], cut: int
) -> None:
    """Written as an export writes them and read as an import reads them."""
    from rights.exchange.exporting import writing

    row = Row(1, title, own=5)
    row.credits = [CreditRow(PartyRow(name), RoleCode.MAIN_ARTIST) for name in names]
    work = WorkRow("W")
    for name, role in zip(names, roles, strict=False):
        (work if role in columns.WORK_ROLES else row).credits.append(
            CreditRow(PartyRow(name), role)
        )
    shares = {names[0]: cut, "The other one": 1_000_000 - cut}
    row.split = [ShareRow(PartyRow(name), ppm) for name, ppm in shares.items()]
    row.works = [work]
    header = [field.words for field in columns.FIELDS]
    text = "".join(csv_files.document([header, *writing._csv_lines(row)], exact=True))
    made = tables.Table(io.BytesIO(text.encode()))
    read = next(iter(columns.CsvReader(made, columns.guess(made.header), portal="").rows()))
    again, expected = check(read), check(row)
    assert [problem.sentence for problem in again.problems] == [
        problem.sentence for problem in expected.problems
    ]
    assert again.title == expected.title

    def said(subject: Row | WorkRow) -> set[tuple[str, str]]:
        return {(credit.party.name, str(credit.role)) for credit in subject.credits}

    assert said(again) == said(expected)
    assert said(again.works[0]) == said(expected.works[0])
    assert [(s.party.name, s.ppm) for s in again.split] == [
        (s.party.name, s.ppm) for s in expected.split
    ]


@given(st.integers(1, 1_000_000))
def test_a_share_is_written_exactly(ppm: int) -> None:
    row = columns.row_of(1, {"master_split": f"Jo {percent(ppm)}"})
    assert [share.ppm for share in row.split] == [ppm]


@pytest.mark.django_db
def test_half_characters_and_zeros_are_a_problem_and_no_crash(rosa: User) -> None:
    odd = json.dumps({"title": "a\ud800b\x00", "isrc": "\ud800", "ref": "\ud800", "genre": "\x00"})
    named = json.dumps({"title": "x", "credits": [{"party": {"name": "\ud83d"}, "role": "\ud83d"}]})
    text = f'{{"format": "backline.catalogue/1", "recordings": [{odd}, {named}]}}'
    job = imported(rosa, text.encode(), "x.json")
    assert (job.added, job.refused) == (0, 2), told(job)
