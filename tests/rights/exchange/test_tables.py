"""Tables as spreadsheets and reports write them: their encoding, header line, sheet and dates."""

import io
import re
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from django.test import Client

from portal.models import User
from rights.errors import Refused
from rights.exchange.importing import jobs
from rights.exchange.importing.columns import guess_header, guess_order
from rights.exchange.importing.reading import BadDate, Reading, orders_of, read_date
from rights.exchange.importing.rows import BadFile
from rights.exchange.importing.tables import Table
from rights.exchange.importing.workbooks import check_workbook, is_workbook
from rights.models import ImportJob, Party, Recording, Release
from tests.rights.exchange.importing import checked, imported, song, table, told, uploaded, work_off


def read(content: bytes, **reading: object) -> Table:
    return Table(io.BytesIO(content), Reading(**reading))  # type: ignore[arg-type]


def cells(content: bytes, **reading: object) -> list[list[str]]:
    found = read(content, **reading)
    return [found.header, *(row for _, row in found.rows())]


def workbook(rows: list[list[object]], **sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, more in sheets.items():
        sheet = book.create_sheet(name)
        for row in more:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def moment(hour: int) -> datetime:
    """A moment as spreadsheets have it: without a zone."""
    return datetime(2026, 3, 1, hour)  # noqa: DTZ001


# --- Dates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2026-03-01", "", date(2026, 3, 1)),
        ("2026/3/1", "dmy", date(2026, 3, 1)),
        ("2026.03.01 00:00:00", "mdy", date(2026, 3, 1)),
        ("2026-03-01T23:59:59.5+02:00", "", date(2026, 3, 1)),
        ("01/03/2026", "dmy", date(2026, 3, 1)),
        ("01/03/2026", "mdy", date(2026, 1, 3)),
        ("1.3.2026", "dmy", date(2026, 3, 1)),
        ("1. 3. 2026", "dmy", date(2026, 3, 1)),
        ("3/1/26 12:00 AM", "mdy", date(2026, 3, 1)),
        ("26-03-01", "ymd", date(2026, 3, 1)),
        ("1/3/68", "dmy", date(2068, 3, 1)),
        ("1/3/69", "dmy", date(1969, 3, 1)),
        # These say it themselves.
        ("31/12/2026", "", date(2026, 12, 31)),
        ("12/31/2026", "", date(2026, 12, 31)),
        ("1 March 2026", "", date(2026, 3, 1)),
        ("01-Mar-26", "mdy", date(2026, 3, 1)),
        ("Mar 1, 2026", "", date(2026, 3, 1)),
        ("March 1st 2026", "", date(2026, 3, 1)),
        ("2 Sept. 2026", "", date(2026, 9, 2)),
    ],
)
def test_a_date_as_people_write_it(text: str, order: str, day: date) -> None:
    assert read_date(text, order) == day


@pytest.mark.parametrize(
    ("text", "order", "words"),
    [
        ("01/03/2026", "", "whether the day or the month comes first"),
        ("31/12/2026", "mdy", "not a day of the calendar"),
        ("2026-02-30", "", "not a day of the calendar"),
        ("46082", "", "counts days"),
        ("2026", "", "not a day"),
        ("2026-03", "", "not a day"),
        ("spring", "", "not a day"),
        ("1 Foo 2026", "", "not a day of the calendar"),
        ("001/03/26", "dmy", "not a day"),
        ("\u0661/\u0663/2026", "dmy", "not a day"),
    ],
)
def test_a_date_that_cannot_be_read_says_what_to_do(text: str, order: str, words: str) -> None:
    with pytest.raises(BadDate, match=words):
        read_date(text, order)


def test_the_order_of_dates_is_found_out_where_one_date_gives_it_away() -> None:
    assert guess_order(["01/03/2026", "13/03/2026"]) == "dmy"
    assert guess_order(["01/03/2026", "03/13/2026"]) == "mdy"
    assert guess_order(["01/03/2026", "02/03/2026"]) == ""
    assert guess_order(["13/03/2026", "03/13/2026"]) == ""
    assert guess_order([]) == ""
    assert orders_of("2026-03-01") == set()


# --- Text ---------------------------------------------------------------------------------------


def test_a_line_that_names_the_separator_is_no_header() -> None:
    for line in (b"sep=;\r\n", b'"sep=;"\r\n', b"SEP=;\n"):
        assert cells(line + b"Title;ISRC\r\nA, b;\r\n") == [["Title", "ISRC"], ["A, b", ""]]


def test_the_header_is_below_a_few_words() -> None:
    content = b"Report of March\n\nby,somebody\nTitle,ISRC,Artist\nA,B,C\n"
    assert guess_header(read(content).first_lines()) == 4
    assert cells(content, header_line=4) == [["Title", "ISRC", "Artist"], ["A", "B", "C"]]
    # A separator of the lines below counts where the first has none.
    assert cells(b"Report\nTitle;ISRC\nA, b;C\n", header_line=2)[1] == ["A, b", "C"]
    with pytest.raises(BadFile, match="Line 9 names no columns"):
        cells(content, header_line=9)


def test_empty_columns_at_the_end_are_none() -> None:
    assert cells(b"Title,ISRC,,\nA,B,,\nC,D,,,,,\n") == [
        ["Title", "ISRC"], ["A", "B", "", ""], ["C", "D", "", "", "", "", ""],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1250", "Łódź"), ("cp1251", "Чайковский"), ("mac_roman", "Beyoncé"),
        ("cp932", "久石譲"), ("gb18030", "王菲"), ("cp949", "윤이상"), ("utf-16-le", "Łódź"),
        ("utf-8-sig", "Łódź"),
    ],
)  # fmt: skip
def test_an_encoding_is_chosen(encoding: str, name: str) -> None:
    chosen = {"utf-16-le": "utf-16", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert cells(f"Title,ISRC\n{name},\n".encode(encoding), encoding=chosen)[1][0] == name


def test_an_encoding_that_cannot_be_is_said() -> None:
    with pytest.raises(BadFile, match="cannot be read as UTF-8"):
        cells("Title\nBeyoncé\n".encode("cp1252"), encoding="utf-8")


def test_what_keeps_a_code_safe_from_excel_is_taken_off() -> None:
    assert cells(b'Title,UPC\n="007",="4006381333931"\n')[1] == ["007", "4006381333931"]


# --- Workbooks ----------------------------------------------------------------------------------


def test_a_workbook_is_read_as_what_its_cells_show() -> None:
    content = workbook(
        [
            ["Title", "UPC", "Released", "Tempo", "Share", "Live", "At"],
            [
                1999,
                36000291452,
                moment(0),
                128.5,
                None,
                True,
                moment(9),
            ],
            ["'=A", 4006381333931.0, date(2026, 3, 1), 0, None, False, None],
        ]
    )
    book = openpyxl.load_workbook(io.BytesIO(content))
    for row, share in ((2, 0.5), (3, 0.125)):
        book.active.cell(row, 5, share).number_format = "0.0%"
    file = io.BytesIO()
    book.save(file)
    assert cells(file.getvalue()) == [
        ["Title", "UPC", "Released", "Tempo", "Share", "Live", "At"],
        ["1999", "36000291452", "2026-03-01", "128.5", "50 %", "true", "2026-03-01 09:00:00"],
        # The apostrophe of our own export is taken off again.
        ["=A", "4006381333931", "2026-03-01", "0", "12.5 %", "false"],
    ]


def test_a_sheet_is_chosen_and_the_first_with_cells_else() -> None:
    content = workbook([], Songs=[["Title"], ["A"]], More=[["Title"], ["B"]])
    found = read(content)
    assert found.sheets == ["Sheet", "Songs", "More"]
    assert cells(content)[1] == ["A"]
    assert cells(content, sheet="More")[1] == ["B"]
    with pytest.raises(BadFile, match="no sheet “Gone”"):
        cells(content, sheet="Gone")


def test_rows_after_gaps_are_read() -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["B1"], book.active["A40"], book.active["B40"] = (
        "Title",
        "ISRC",
        "A",
        "B",
    )
    file = io.BytesIO()
    book.save(file)
    assert [(number, row[:2]) for number, row in read(file.getvalue()).rows()] == [(1, ["A", "B"])]


def uploaded_cells(content: bytes) -> list[list[str]]:
    if is_workbook(io.BytesIO(content)):
        check_workbook(io.BytesIO(content))
    return cells(content)


SHEET = "xl/worksheets/sheet1.xml"


def zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Excel file"),
        (zipped(**{"word/document.xml": b"<a/>"}), "no Excel workbook"),
        (zipped(**{"xl/workbook.xml": b"<a/>"}), "damaged"),
        (zipped(**{"xl/workbook.xml": b"", "xl/styles.xml": b"<a/>" * 3_000_000}), "larger"),
        (zipped(**{"xl/workbook.xml": b"", SHEET: b"<row>" + b"<c/>" * 300_000}), "larger"),
        (zipped(**{"xl/workbook.xml": b"", SHEET: b"<row><c>" + b"x" * 20_000_000}), "larger"),
        (b"PK\x03\x04" + b"\0" * 100, "cannot be unpacked"),
        (zipped(**{"xl/workbook.xml": b"", "xl/sharedStrings.xml": b"a" * 40_000_000}), "larger"),
    ],
    ids=["xls", "docx", "empty", "styles", "wide", "long", "cut", "texts"],
)
def test_what_is_no_workbook_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        uploaded_cells(content)


def test_many_small_rows_are_no_large_one() -> None:
    rows = b"<sheetData>" + b"<row><c/><c/></row>" * 200_000
    check_workbook(io.BytesIO(zipped(**{"xl/workbook.xml": b"", SHEET: rows})))


def test_too_many_rows_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rights.exchange.importing.workbooks.MOST_LINES", 9)
    check_workbook(io.BytesIO(zipped(**{"xl/workbook.xml": b"", SHEET: b"<row/>" * 9})))
    with pytest.raises(BadFile, match="more than 9 rows"):
        check_workbook(io.BytesIO(zipped(**{"xl/workbook.xml": b"", SHEET: b"<row/>" * 10})))


def test_a_sheet_of_empty_rows_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rights.exchange.importing.tables.FIRST_LINES", 5)
    monkeypatch.setattr("rights.exchange.importing.tables.MOST_LINES", 8)
    with pytest.raises(BadFile, match="The file is empty"):
        cells(b"\n" * 5 + b"Title\nA\n")
    found = read(b"Title\nA\n" + b"\n" * 4 + b"B\n")
    assert [row for _, row in found.first_rows()] == [["A"]]
    assert [row for _, row in found.rows()] == [["A"], ["B"]]
    with pytest.raises(BadFile, match="more than 8 lines"):
        list(read(b"Title\nA\n" + b"\n" * 7).rows())


def test_an_entity_in_a_workbook_is_not_expanded() -> None:
    parts = zipfile.ZipFile(io.BytesIO(workbook([["Title"], ["A"]])))
    names = {name: parts.read(name) for name in parts.namelist()}
    entity = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "' + b"x" * 1000 + b'">]>'
    for name in ("xl/worksheets/sheet1.xml", "xl/workbook.xml"):
        body = names[name].partition(b"?>")[2] if names[name].startswith(b"<?xml") else names[name]
        with pytest.raises(BadFile, match="damaged"):
            cells(zipped(**(names | {name: entity + body})))


# --- Through an import --------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_workbook_is_entered_like_a_csv(rosa: User) -> None:
    rows = [song(1), song(2)]
    content = workbook([list(rows[0]), *(list(row.values()) for row in rows)])
    job = imported(rosa, content, name="songs.xlsx")
    assert (job.added, job.refused) == (2, 0), told(job)
    assert job.format == ImportJob.Format.CSV
    assert Release.objects.get().tracks.count() == 2


@pytest.mark.django_db
def test_dates_in_question_are_problems_until_their_order_is_said(rosa: User) -> None:
    content = table([song(1, **{"Release date": "01/03/2026"})])
    job = checked(rosa, content)
    # The recording is not lost for it: its release waits.
    assert (job.added, job.refused) == (1, 0)
    assert "whether the day or the month" in told(job)[0][2]
    jobs.check(job, by=rosa, columns=job.columns, reading=Reading(dates="mdy"))
    work_off()
    job.refresh_from_db()
    jobs.start(job, by=rosa)
    work_off()
    assert Release.objects.get().released_on == date(2026, 1, 3)


@pytest.mark.django_db
def test_one_date_of_the_file_says_it_for_all(rosa: User) -> None:
    rows = [song(1, **{"Release date": "01/03/2026"}), song(11, **{"Release date": "31.12.2026"})]
    job = imported(rosa, table(rows))
    assert (job.options["reading"], job.refused) == ({"dates": "dmy"}, 0)
    days = sorted(Release.objects.values_list("released_on", flat=True))
    assert days == [date(2026, 3, 1), date(2026, 12, 31)]


@pytest.mark.django_db
def test_a_header_below_a_report_is_found(rosa: User) -> None:
    job = imported(rosa, b"Catalogue of a label\n\n" + table([song(1)]))
    assert (job.added, job.options["reading"]) == (1, {"header_line": 3})


@pytest.mark.django_db
def test_failed_formulas_and_further_cells_are_problems(rosa: User) -> None:
    job = checked(rosa, b"Title,Genre\nA,#REF!\nB,techno,more\nC,techno,,,\n")
    assert (job.added, job.refused) == (1, 2)
    assert "failed formula" in told(job)[0][2] or "failed formula" in told(job)[1][2]


@pytest.mark.django_db
def test_a_list_of_participation_may_be_a_workbook(rosa: User) -> None:
    party = Party.objects.create(name="Bea Voice")
    content = workbook([["USSKG1912345", "eval", "no"]])
    job = uploaded(rosa, content, "list.xlsx", format="participation", party=party)
    jobs.check(job, by=rosa)
    work_off()
    job.refresh_from_db()
    assert told(job) == [(1, "isrc", "No recording here has the ISRC USSKG1912345.")]


@pytest.mark.django_db
def test_a_file_that_is_no_table_is_refused_beside_its_field(rosa: User) -> None:
    with pytest.raises(Refused, match="old Excel file") as refusal:
        uploaded(rosa, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "songs.xls")
    assert refusal.value.field == "file"


SHEET_IN_XML = (
    '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>'
)


@pytest.mark.django_db
@pytest.mark.parametrize("format", ["", "csv"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html><table><tr><td>Title</td></tr></table></html>", "save it as .xlsx or CSV"),
        (b"\n<!DOCTYPE html><html></html>", "save it as .xlsx or CSV"),
        (b"<!-- report --><table><tr><td>Title</td></tr></table>", "save it as .xlsx or CSV"),
        (SHEET_IN_XML.encode(), "save it as .xlsx or CSV"),
        (SHEET_IN_XML.encode("utf-16"), "save it as .xlsx or CSV"),
        (b"%PDF-1.7\n1 0 obj", "This is a PDF"),
    ],
    ids=["html", "doctype", "table", "xml", "utf-16", "pdf"],
)
def test_a_page_or_pdf_that_is_named_a_table_is_refused_in_words(
    rosa: User,
    content: bytes,
    words: str,
    format: str,  # noqa: A002
) -> None:
    with pytest.raises(Refused, match=re.escape(words)) as refused:
        uploaded(rosa, content, "songs.xls", format=format)
    assert refused.value.field == "file"
    assert not ImportJob.objects.exists()


@pytest.mark.django_db
def test_the_page_shows_the_file_in_the_encoding_that_is_chosen(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    content = "Name;Titel\nLodz;A\nWien;B\nRom;C\nŁódź;D\n".encode("cp1250")
    job = uploaded(rosa, content)
    page = f"/rights/imports/{job.pk}/check/"
    assert "Łódź" not in client.get(page).content.decode()
    shown = client.get(page, {"encoding": "cp1250", "header_line": "1"}).content.decode()
    assert "Łódź" in shown
    wrong = client.get(page, {"encoding": "utf-8"})
    assert "Choose another encoding" in wrong.content.decode()
    sent = {"encoding": "cp1250", "header_line": "1", "column_title": "Name"}
    assert client.post(page, sent).status_code == 302
    work_off()
    job.refresh_from_db()
    jobs.start(job, by=rosa)
    work_off()
    assert Recording.objects.filter(title="Łódź").exists()
    for nonsense in ({"encoding": "rot13"}, {"header_line": "99999999999"}, {"sheet": "x"}):
        assert client.get(page, nonsense).status_code == 200


@pytest.mark.django_db
def test_the_page_shows_what_each_order_makes_of_a_date(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    job = uploaded(rosa, table([song(1, **{"Release date": "02/03/2026"})]))
    page = client.get(f"/rights/imports/{job.pk}/check/").content.decode()
    assert "Day first: 02/03/2026 is 2 March 2026" in page
    assert "Month first: 02/03/2026 is 3 February 2026" in page


@pytest.mark.django_db
def test_what_another_encoding_has_lost_is_a_problem(rosa: User) -> None:
    # Bytes that Windows-1252 does not have.
    job = checked(rosa, "Title,Artist\n\u30e9\u30fc\u30e1\u30f3,A\nB,C\n".encode("cp932"))
    assert (job.added, job.refused) == (1, 1)
    assert any("written in another encoding" in sentence for _, _, sentence in told(job))


@pytest.mark.django_db
@pytest.mark.parametrize("row", ['"12" Mix",a', 'a,"Jane "JD" Doe"', 'a,"b" ', '"a"b,c'])
def test_a_quotation_mark_that_is_not_doubled_is_a_problem_of_its_row(rosa: User, row: str) -> None:
    content = f'Title,Artist\n"Good ""one""","x, ""y"", z"\n{row}\n"Last","line\n""two"""\n'
    job = checked(rosa, content.encode())
    assert (job.added, job.refused) == (2, 1)
    assert [number for number, _, sentence in told(job) if "doubled" in sentence] == [2]
