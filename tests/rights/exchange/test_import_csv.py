"""CSV into the catalogue: what is read, what is refused, and what a second time changes."""

import io

import pytest

from portal.models import AuditEvent, User
from rights.exchange.importing import columns, tables
from rights.models import (
    Credit,
    ImportJob,
    Party,
    Recording,
    Release,
    SplitAnswer,
    SplitSheet,
    Work,
)
from tests.rights.exchange.importing import checked, counts, imported, song, table, told

pytestmark = pytest.mark.django_db


def test_a_row_enters_a_whole_recording(rosa: User) -> None:
    job = imported(rosa, table([song(3, Featured="Guest", Label="Label 0", Key="A minor")]))
    assert (job.state, job.added, job.refused) == (ImportJob.State.FINISHED, 1, 0)
    recording = Recording.objects.get(isrc="QZXYZ2600003")
    assert recording.title == "Song 3"
    assert recording.tags == {"genre": "techno", "tempo": 128, "key": "A minor"}
    assert recording.audio is None
    work = recording.works.get()
    assert {(credit.role, credit.party.name) for credit in recording.credits.all()} == {
        ("MainArtist", "Artist 3"),
        ("FeaturedArtist", "Guest"),
    }
    assert work.credits.get().role == Credit.RoleCode.COMPOSER
    sheet = recording.splits.get()
    assert sheet.status == SplitSheet.Status.CONFIRMING
    assert sorted(sheet.lines.values_list("party__name", "ppm")) == [
        ("Artist 3", 500_000),
        ("Label 0", 500_000),
    ]
    release = Release.objects.get()
    assert release.label is not None
    assert release.label.name == "Label 0"
    assert release.tracks.get().position == 4


def test_the_same_file_again_changes_nothing(rosa: User) -> None:
    rows = [song(number) for number in range(40)]
    # Without ISRC, without UPC, without a work's number: known by what the source calls them.
    rows += [
        song(50 + number, ISRC="", UPC="", Composers="A; B", Album="Loose") for number in range(3)
    ]
    file = table(rows)
    first = imported(rosa, file)
    assert (first.added, first.refused) == (43, 0), told(first)
    before, lines = counts(), AuditEvent.objects.count()
    second = imported(rosa, file)
    assert (second.added, second.changed, second.unchanged) == (0, 0, 43), told(second)
    assert counts() == before
    new = AuditEvent.objects.filter(seq__gt=lines)
    assert {line.subject_type for line in new} == {"rights.importjob"}
    assert "import.part" not in {line.verb for line in new}


def test_a_dry_run_tells_all_problems_of_all_rows_and_writes_nothing(rosa: User) -> None:
    before = counts()
    rows = [
        song(1),
        song(2, ISRC="XX-1", UPC="123", BPM="fast", **{"Master split": "A 50; B 49.9999"}),
        song(3, Title=""),
        song(1, Title="Another title"),
        song(4, Contributors="Somebody", ISNI="0000000121032684"),
    ]
    job = checked(rosa, table(rows))
    assert counts() == before
    assert job.state == ImportJob.State.CHECKED
    assert (job.added, job.unchanged, job.refused) == (1, 0, 4)
    found = {(row, field) for row, field, _ in told(job)}
    assert {(2, "isrc"), (2, "upc"), (2, "tempo"), (2, "master_split"), (3, "title")} <= found
    assert {(4, "title"), (5, "contributors"), (5, "artist_isni")} <= found
    sentences = " ".join(sentence for _, _, sentence in told(job))
    assert "add up to 99.9999 %" in sentences


def test_what_the_dry_run_counts_is_what_comes_of_it(rosa: User) -> None:
    rows = [song(number) for number in range(450)] + [song(7), song(8, Title="Not Song 8")]
    file = table(rows)
    dry = checked(rosa, file)
    real = imported(rosa, file)
    for name in ("rows", "added", "changed", "unchanged", "refused"):
        assert getattr(dry, name) == getattr(real, name), name
    assert (real.added, real.unchanged, real.refused) == (450, 1, 1)


def test_another_title_is_a_problem_or_by_option_a_change(rosa: User) -> None:
    imported(rosa, table([song(1)]))
    refused = imported(rosa, table([song(1, Title="Song one")]))
    assert refused.refused == 1
    assert Recording.objects.get().title == "Song 1"
    changed = imported(rosa, table([song(1, Title="Song one")]), update_titles=True)
    assert changed.changed == 1, told(changed)
    assert Recording.objects.get().title == "Song one"
    line = AuditEvent.objects.filter(verb="recording.imported").get()
    assert line.body["fields"] == ["title"]


def test_an_empty_cell_never_erases_and_a_missing_value_is_filled(rosa: User) -> None:
    imported(rosa, table([song(1, Genre="", BPM="")]))
    job = imported(rosa, table([song(1)]))
    assert job.changed == 1
    imported(rosa, table([song(1, Genre="", BPM="")]))
    assert Recording.objects.get().tags == {"genre": "techno", "tempo": 128}


def test_another_split_is_proposed_only_by_option(rosa: User) -> None:
    imported(rosa, table([song(1)]))
    other = table([song(1, **{"Master split": "Artist 1 25.5; Label 1 74.5"})])
    assert imported(rosa, other).refused == 1
    assert SplitSheet.objects.filter(recording__isnull=False).count() == 1
    assert imported(rosa, other, propose_splits=True).changed == 1
    sheet = SplitSheet.objects.get(recording__isnull=False, version=2)
    assert sheet.status == SplitSheet.Status.CONFIRMING
    before = counts()
    assert imported(rosa, other, propose_splits=True).unchanged == 1
    assert counts() == before


def test_paper_confirms_as_the_admin_and_says_so(rosa: User) -> None:
    job = imported(rosa, table([song(1)]))
    assert set(SplitSheet.objects.values_list("status", flat=True)) == {"confirming"}
    job = imported(rosa, table([song(1), song(2)]), confirmed_on_paper=True)
    assert (job.added, job.changed) == (1, 1)
    assert set(SplitSheet.objects.values_list("status", flat=True)) == {"confirmed"}
    answers = SplitAnswer.objects.all()
    assert {answer.made_by for answer in answers} == {rosa}
    assert all("paper" in answer.reason for answer in answers)


def test_further_works_and_artists_of_known_recordings_need_an_option(rosa: User) -> None:
    imported(rosa, table([song(1)]))
    more = table([song(1, Artist="Artist 1; Second", **{"Work title": "Another work"})])
    assert imported(rosa, more).refused == 1
    assert imported(rosa, more, extend=True).changed == 1
    recording = Recording.objects.get()
    assert recording.works.count() == 2
    assert recording.credits.filter(role="MainArtist").count() == 2
    assert AuditEvent.objects.filter(verb="recording.work_attached").exists()
    before = counts()
    assert imported(rosa, more, extend=True).unchanged == 1
    assert counts() == before


def test_one_work_in_many_recordings_is_one_work(rosa: User) -> None:
    same = {"ISWC": "T-034.524.680-1", "Work title": "Standard", "Composition split": "Old 100"}
    job = imported(rosa, table([song(n, Composers="Old", **same) for n in range(5)]))
    assert job.added == 5, told(job)
    assert Work.objects.get().recordings.count() == 5


def test_a_party_is_known_by_its_number_before_its_name(rosa: User) -> None:
    isni = "000000012281955X"
    imported(rosa, table([song(1, **{"Artist ISNI": isni})]))
    other = song(2, Artist="A. One", **{"Artist ISNI": isni, "Master split": "", "Composers": ""})
    file = table([other | {"Composition split": ""}])
    wrong = imported(rosa, file)
    assert wrong.refused == 1
    assert "has the number of Artist 1" in told(wrong)[0][2]
    Party.objects.filter(name="Artist 1").update(credited_as="A. One")
    assert imported(rosa, file).added == 1
    assert not Party.objects.filter(name="A. One").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_characters_and_separators_are_found_out(rosa: User, encoding: str, sep: str) -> None:
    row = song(1, Title='Größe, \n"Ça va"; été', Artist="Björk Ä")
    row |= {"Master split": "Björk Ä 100", "Composers": "Björk Ä"}
    row |= {"Composition split": "Björk Ä 100"}
    job = imported(rosa, table([row], encoding=encoding, sep=sep))
    assert job.added == 1, told(job)
    assert Recording.objects.get().title == 'Größe, "Ça va"; été'
    assert Recording.objects.get().credits.get().party.name == "Björk Ä"


def test_a_file_of_other_bytes_is_refused_with_a_sentence(rosa: User) -> None:
    from rights.errors import Refused
    from tests.rights.exchange.importing import uploaded

    with pytest.raises(Refused, match="not a text file"):
        uploaded(rosa, b"\x00\x01\x02\x03PK" * 900)
    with pytest.raises(Refused, match="empty"):
        uploaded(rosa, b"")


def test_a_quotation_mark_that_is_never_closed_ends_in_a_sentence(rosa: User) -> None:
    file = table([song(1)]) + b'"' + b"x" * 200_000
    job = checked(rosa, file)
    assert job.state == ImportJob.State.FAILED
    assert "quotation mark" in job.error


def test_an_open_quotation_mark_does_not_take_the_rest_of_a_small_file_into_one_cell(
    rosa: User,
) -> None:
    rows = table([song(1), song(2), song(3)]).splitlines(keepends=True)
    rows[2] = b'"' + rows[2]
    job = checked(rosa, b"".join(rows))
    assert job.state == ImportJob.State.FAILED
    assert "begins on line 3 has no end" in job.error


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_last_cell_in_quotation_marks_is_whole(rosa: User, end: bytes) -> None:
    file = table([song(1)]).rstrip(b"\r\n") + b'\n"A last one"' + end
    job = checked(rosa, file)
    assert job.state == ImportJob.State.CHECKED, job.error


def test_too_many_rows_end_in_a_sentence(rosa: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    job = checked(rosa, table([song(n) for n in range(5)]))
    assert job.state == ImportJob.State.FAILED
    assert "more than 3 rows" in job.error


def test_columns_are_guessed_by_what_others_call_them() -> None:
    header = ["Track Title", "Artist(s)", "ISRC Code", "Writers", "BPM", "Album", "EAN", "Notes"]
    assert columns.guess(header) == {
        "title": "Track Title", "isrc": "ISRC Code", "main_artist": "Artist(s)",
        "composers": "Writers", "release_title": "Album", "upc": "EAN", "tempo": "BPM",
    }  # fmt: skip


def test_shares_must_be_exact(rosa: User) -> None:
    third = {"Master split": "A 33.3333; B 33.3333; C 33.3334"}
    rows = [
        song(1, **third),
        song(2, **{"Master split": "A 33.33; B 33.33; C 33.33"}),
        song(3, **{"Master split": "A 33.33333; B 66.66667"}),
        song(4, **{"Master split": "A 150; B -50"}),
        song(5, **{"Master split": "Blink 182 60,5; B: 39,5 %"}),
    ]
    job = checked(rosa, table(rows))
    assert (job.added, job.refused) == (2, 3), told(job)


# --- Shares as people write them -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "shares"),
    [
        ("Dashjane - 50; Dashmax - 50", {"Dashjane": 50, "Dashmax": 50}),
        ("Dashjane \u2013 50 %; Dashmax \u201450%", {"Dashjane": 50, "Dashmax": 50}),
        ("Jane: 50; Max=50", {"Jane": 50, "Max": 50}),
        ("Jane (50%); Max [50]", {"Jane": 50, "Max": 50}),
        ("50% Jane; 50 % - Max", {"Jane": 50, "Max": 50}),
        ("Jane 50\nMax 50", {"Jane": 50, "Max": 50}),
        ("Jane 33,3333; Max 66,6667", {"Jane": 33.3333, "Max": 66.6667}),
        ("Jean-Luc 50; Anne-Marie 50", {"Jean-Luc": 50, "Anne-Marie": 50}),
        ("Earth, Wind & Fire 100", {"Earth, Wind & Fire": 100}),
        ("Smith, John 50; Doe, Jo 50", {"Smith, John": 50, "Doe, Jo": 50}),
        ("Blink 182 50; U2 50", {"Blink 182": 50, "U2": 50}),
        ("Foo - = 50; Bar = 50", {"Foo -": 50, "Bar": 50}),
        ("equal: A; B; C", {"A": 33.3334, "B": 33.3333, "C": 33.3333}),
        ("Equal shares: A; B", {"A": 50, "B": 50}),
        ("Equal: 100", {"Equal": 100}),
    ],
)
def test_shares_are_read_as_people_write_them(cell: str, shares: dict[str, float]) -> None:
    row = columns.row_of(1, {"master_split": cell})
    assert row.problems == []
    assert {share.party.name: share.ppm / 10_000 for share in row.split} == shares


@pytest.mark.parametrize(
    "cell",
    [
        "Jane 50, Max 50",
        "Jane 50 / Max 50",
        "Jane 50 and Max 50",
        "Jane 50,Max 50",
        "Jane 50 | Max 50",
        "Jane = 50, Max = 50",
    ],
)
def test_another_separator_is_answered_by_what_to_write(cell: str) -> None:
    row = columns.row_of(1, {"master_split": cell})
    (problem,) = row.problems
    assert problem.sentence.startswith("Write semicolons between shares: “Jane ")
    assert "; Max" in problem.sentence


def test_columns_of_one_name_are_both_read() -> None:
    text = "title,artist,artist,isrc,isrc\nSong,Jane,Max,US-SKG-19-12345,\nOther,Jane,Jane,,x\n"
    table = tables.Table(io.BytesIO(text.encode()))
    first, second = columns.CsvReader(table, columns.guess(table.header)).rows()
    assert [artist.name for artist in first.artists] == ["Jane", "Max"]
    assert (first.isrc, first.problems) == ("US-SKG-19-12345", [])
    assert [artist.name for artist in second.artists] == ["Jane"]


def test_columns_of_one_name_that_differ_are_a_problem_where_one_value_is_meant() -> None:
    table = tables.Table(io.BytesIO(b"title,title\nSong,Tune\nSame,Same\n"))
    first, second = columns.CsvReader(table, columns.guess(table.header)).rows()
    (problem,) = first.problems
    assert problem.sentence == (
        "Several columns are called “title” and differ: “Song”, “Tune”. "
        "Give them names of their own."
    )
    assert (second.title, second.problems) == ("Same", [])


@pytest.mark.parametrize("name", ["Various Artists", "N/A", "-", "UNKNOWN"])
def test_who_is_nobody_in_particular_is_no_party(rosa: User, name: str) -> None:
    job = imported(rosa, table([song(1, Artist=name), song(2, **{"Master split": f"{name} 100"})]))
    assert (job.added, job.refused) == (1, 1)
    assert not Party.objects.filter(name=name).exists()
    assert Recording.objects.get().credits.count() == 0
    sentences = [sentence for _, _, sentence in told(job)]
    assert any("who holds this share" in sentence for sentence in sentences)


@pytest.mark.django_db
@pytest.mark.parametrize("number", ["1" + "0" * 30, "-1", "½"])
def test_a_number_of_our_own_that_no_column_holds_is_the_senders(rosa: User, number: str) -> None:
    job = imported(rosa, table([song(1, backline=number)]))
    assert (job.added, job.refused) == (1, 0), told(job)
    assert Recording.objects.count() == 1
