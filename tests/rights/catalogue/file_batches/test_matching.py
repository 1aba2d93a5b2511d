"""Names and tags as the world writes them, and which of the announced recordings is meant."""

import unicodedata
from collections.abc import Sequence

import pytest

from rights.catalogue.file_batches import matching, names
from rights.catalogue.file_batches.matching import File, Finding, Known
from rights.models import BatchFile

State = BatchFile.State
How = BatchFile.How

SONG = Known(1, "Song", isrc="QZABC2600001", artists=["bea voice"], releases=["first light"])
OTHER = Known(2, "Night Drive (Dub Mix)", artists=["ada remix"])
NUMBERS = Known(3, "99 Balloons", artists=["bea voice"])
CAFE = Known(4, "Café del Mar", artists=["ada remix"])
DONT = Known(5, "Don't Stop", artists=["bea voice"])
INTRO_A = Known(6, "Intro", artists=["ada remix"])
INTRO_B = Known(7, "Intro", artists=["bea voice"])
NAMED = Known(8, "Untitled 1", expected_file="CD1/01_final_v3.wav")
HASHED = Known(9, "Untitled 2", expected_hash="md5:" + "b" * 32)
DIVIDE = Known(10, "÷", artists=["bea voice"])
GUESTS = Known(11, "Together (feat. Ada Remix)", artists=["bea voice"])
WITHOUT_ARTIST = Known(12, "Nobody's Song")
ALL = [SONG, OTHER, NUMBERS, CAFE, DONT, INTRO_A, INTRO_B, NAMED, HASHED, DIVIDE, GUESTS,
       WITHOUT_ARTIST]  # fmt: skip


def find(path: str, *more: Known, **facts: object) -> Finding:
    file = File(1, path, sha256="c" * 64, **facts)  # type: ignore[arg-type]
    return matching.find(file, matching.index_of([*ALL, *more]))


BY_TITLE = [
    ("Song.wav", SONG),
    ("song", SONG),
    ("SONG.FLAC", SONG),
    ("01 - Song.wav", SONG),
    ("01. Song.wav", SONG),
    ("01 Song.wav", SONG),
    ("01_Song.wav", SONG),
    ("01-Song.wav", SONG),
    ("[01] Song.wav", SONG),
    ("(1) Song.wav", SONG),
    ("1-03 Song.aiff", SONG),
    ("1.03 Song.aiff", SONG),
    ("A1 Song.flac", SONG),
    ("b2. Song.flac", SONG),
    ("A1 - Song.flac", SONG),
    ("Bea Voice - Song.wav", SONG),
    ("Bea Voice \N{EN DASH} Song.wav", SONG),
    ("Bea Voice- Song.wav", SONG),
    ("Bea_Voice_-_Song.wav", SONG),
    ("bea_voice-song.wav", SONG),
    ("01-bea_voice-song.flac", SONG),
    ("03 Bea Voice - Song.mp3", SONG),
    ("Bea Voice - First Light - 03 - Song.wav", SONG),
    ("Bea Voice - First Light - 03 Song.wav", SONG),
    ("03 - Bea Voice - First Light - Song.wav", SONG),
    ("First Light - 03 - Song.wav", SONG),
    ("Various - 03 - Bea Voice - Song.wav", SONG),
    ("Bea Voice & Friends - Song.wav", SONG),
    ("Song - Bea Voice.wav", SONG),
    ("Song_24bit_MASTER.wav", SONG),
    ("Song (Master).wav", SONG),
    ("Song [24-bit 48kHz].wav", SONG),
    ("Song 44.1k 16bit.wav", SONG),
    ("Song (1).wav", SONG),
    ("Song - Copy.wav", SONG),
    ("Song.final.wav", None),
    ("Song!.wav", SONG),
    ("Bea Voice/First Light/CD 1/03 Song.wav", SONG),
    ("Night Drive (Dub Mix).wav", OTHER),
    ("night drive [dub mix].wav", OTHER),
    ("02 Night Drive - Dub Mix.wav", OTHER),
    ("Ada Remix - Night Drive (Dub Mix).wav", OTHER),
    ("Night Drive.wav", None),
    ("Night Drive (Radio Edit).wav", None),
    ("Dub Mix.wav", None),
    ("99 Balloons.wav", NUMBERS),
    ("07 99 Balloons.wav", NUMBERS),
    ("Bea Voice - 99 Balloons.wav", NUMBERS),
    ("Balloons.wav", None),
    ("Café del Mar.wav", CAFE),
    (unicodedata.normalize("NFD", "Café del Mar.wav"), CAFE),
    ("CAFÉ DEL MAR.wav", CAFE),
    ("Cafe del Mar.wav", None),
    ("Don't Stop.wav", DONT),
    ("Don\N{RIGHT SINGLE QUOTATION MARK}t Stop.wav", DONT),
    ("Dont_Stop.wav", DONT),
    ("Bea Voice - Intro.wav", INTRO_B),
    ("Ada Remix/Intro.wav", INTRO_A),
    ("Ada Remix - Some Album/01 Intro.wav", INTRO_A),
    ("÷.wav", DIVIDE),
    ("Together.wav", GUESTS),
    ("Together (ft. Ada Remix).wav", GUESTS),
    ("Together [featuring Somebody].wav", GUESTS),
    ("Nobodys Song.wav", WITHOUT_ARTIST),
    ("Anybody - Nobody's Song.wav", WITHOUT_ARTIST),
    ("Songs.wav", None),
    ("My Song.wav", None),
    ("Song 2.wav", None),
    ("01.wav", None),
    ("01 -  .wav", None),
    ("???.wav", None),
    (".wav", None),
    ("-", None),
]


@pytest.mark.parametrize(("path", "known"), BY_TITLE)
def test_a_name_is_its_title_as_people_write_it(path: str, known: Known | None) -> None:
    finding = find(path)
    if known is None:
        assert (finding.state, finding.recording) == (State.UNMATCHED, None)
    else:
        assert (finding.state, finding.how) == (State.MATCHED, How.TITLE)
        assert finding.recording == known.pk


@pytest.mark.parametrize(
    ("path", "candidates"),
    [
        ("Intro.wav", [6, 7]),
        ("Somebody Else - Intro.wav", [6, 7]),
        ("Bea Voice and Ada Remix - Intro.wav", [6, 7]),
        ("Somebody Else - Song.wav", [1]),
    ],
)
def test_a_title_that_fits_several_or_names_another_artist_is_left_to_a_person(
    path: str, candidates: list[int]
) -> None:
    finding = find(path)
    assert (finding.state, finding.recording) == (State.AMBIGUOUS, None)
    assert list(finding.candidates) == candidates
    assert finding.sentence


def test_another_mix_is_another_title_in_both_orders() -> None:
    """“Song - Dub Mix” is no “Song” of an artist called Dub Mix."""
    assert find("Song - Dub Mix.wav").state == State.UNMATCHED
    assert find("Dub Mix - Song.wav").state == State.AMBIGUOUS


def test_two_readings_of_a_name_with_a_recording_each_are_left_to_a_person() -> None:
    """“99 Balloons” may be number 99, Balloons."""
    finding = find("99 Balloons.wav", Known(20, "Balloons", artists=["bea voice"]))
    assert (finding.state, sorted(finding.candidates)) == (State.AMBIGUOUS, [3, 20])


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"title": "Song", "artist": "Bea Voice"}, State.MATCHED),
        ({"title": "song ", "artist": ""}, State.MATCHED),
        ({"title": "Song", "artist": "Bea Voice feat. Somebody"}, State.MATCHED),
        ({"title": "Song", "artist": "Somebody Else"}, State.AMBIGUOUS),
        ({"title": "Song", "artist": "Somebody Else", "album": "First Light"}, State.MATCHED),
        ({"title": "Another", "artist": "Bea Voice"}, State.UNMATCHED),
    ],
)
def test_tags_are_read_as_well(facts: dict[str, str], state: State) -> None:
    assert find("track 7.wav", **facts).state == state


def test_a_name_and_a_tag_with_different_titles_are_left_to_a_person() -> None:
    finding = find("Song.wav", title="Don't Stop")
    assert (finding.state, sorted(finding.candidates)) == (State.AMBIGUOUS, [1, 5])


# --- ISRC -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "QZABC2600001.wav",
        "QZ-ABC-26-00001.wav",
        "qz-abc-26-00001.wav",
        "QZ ABC 26 00001.wav",
        "QZ_ABC_26_00001.wav",
        "QZABC2600001_Some title.wav",
        "Some title (QZABC2600001).wav",
        "Some title - QZ-ABC-26-00001 - master.wav",
        "QZABC2600001/audio.wav",
        "Some album/QZ-ABC-26-00001/audio.wav",
        "QZABC2600009/QZABC2600001.wav",
    ],
)
def test_an_isrc_in_a_name_is_found_in_any_spelling(path: str) -> None:
    finding = find(path)
    assert (finding.state, finding.how, finding.recording) == (State.MATCHED, How.ISRC_IN_NAME, 1)


@pytest.mark.parametrize(
    "path",
    ["XQZABC2600001.wav", "QZABC26000012.wav", "QZABC260001.wav", "12ABC2600001.wav", "a.wav"],
)
def test_a_part_of_a_longer_word_is_no_isrc(path: str) -> None:
    assert names.isrcs(path) == []


def test_an_isrc_in_tags_is_before_the_title() -> None:
    finding = find("Don't Stop.wav", isrcs=["QZ-ABC-26-00001"])
    assert (finding.how, finding.recording) == (How.ISRC_IN_TAGS, 1)


def test_what_is_no_isrc_in_tags_is_passed_by() -> None:
    assert find("Song.wav", isrcs=["", "none", "A Studio"]).how == How.TITLE


@pytest.mark.parametrize(
    ("path", "isrcs"),
    [
        ("QZABC2600002.wav", ["QZABC2600001"]),
        ("QZABC2600001 QZABC2600002.wav", []),
        ("Song.wav", ["QZABC2600001", "QZABC2600002"]),
        # It has the title of a recording with another ISRC.
        ("Song.wav", ["QZABC2600002"]),
        # The name was announced for another recording.
        ("01_final_v3.wav", ["QZABC2600001"]),
    ],
)
def test_what_contradicts_itself_is_left_to_a_person(path: str, isrcs: Sequence[str]) -> None:
    finding = find(path, isrcs=isrcs)
    assert (finding.state, finding.recording) == (State.AMBIGUOUS, None)
    assert 1 in finding.candidates
    assert finding.sentence


def test_an_isrc_that_nobody_has_does_not_hide_the_title() -> None:
    assert find("Nobody's Song.wav", isrcs=["QZABC2600077"]).recording == WITHOUT_ARTIST.pk


def test_an_isrc_in_a_name_is_no_part_of_the_title() -> None:
    assert find("QZABC2600077 - Nobody's Song.wav").recording == WITHOUT_ARTIST.pk


# --- Announced with a name or a hash ----------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["01_final_v3.wav", "01_FINAL_V3.WAV", "01_final_v3.flac", "x/CD1/01_final_v3.wav"]
)
def test_the_announced_name_is_found_in_any_case_and_format(path: str) -> None:
    finding = find(path)
    assert (finding.how, finding.recording) == (How.EXPECTED_NAME, NAMED.pk)


def test_one_name_announced_twice_is_told_apart_by_its_folder() -> None:
    second = Known(20, "Untitled 3", expected_file="CD2/01_final_v3.wav")
    assert find("x/CD2/01_final_v3.wav", second).recording == 20
    assert find("01_final_v3.wav", second).state == State.AMBIGUOUS


def test_the_announced_hash_is_before_all_else() -> None:
    finding = find("Song.wav", md5="b" * 32, isrcs=["QZABC2600001"])
    assert (finding.state, finding.how, finding.recording) == (State.MATCHED, How.HASH, HASHED.pk)


def test_a_file_with_another_hash_than_announced_is_left_to_a_person() -> None:
    finding = find("Untitled 2.wav", md5="c" * 32)
    assert (finding.state, list(finding.candidates)) == (State.AMBIGUOUS, [HASHED.pk])


def test_a_recording_with_its_file_gets_no_other() -> None:
    done = Known(20, "Done", isrc="QZABC2600020", has_file=True)
    for path in ("Done.wav", "QZABC2600020.wav"):
        finding = find(path, done)
        assert (finding.state, finding.recording) == (State.HAS_FILE, 20)


def test_of_two_with_one_title_the_announced_one_is_meant() -> None:
    finding = find("Done.wav", Known(20, "Done", has_file=True), Known(21, "Done"))
    assert (finding.state, finding.recording) == (State.MATCHED, 21)


def test_bytes_that_are_here_are_nothing_to_do() -> None:
    index = matching.index_of(ALL, by_audio={"c" * 64: 20})
    finding = matching.find(File(1, "Song.wav", sha256="c" * 64), index)
    assert (finding.state, finding.recording) == (State.HERE, 20)


# --- The files of one batch -------------------------------------------------------------------


def find_all(*files: File, **more: object) -> list[Finding]:
    given = {"taken": {}, "others": {}, **more}
    found = matching.find_all(files, matching.index_of(ALL), **given)  # type: ignore[arg-type]
    return [found[file.pk] for file in files]


def file(pk: int, path: str, digest: str, **more: object) -> File:
    return File(pk, path, sha256=digest * 64, **more)  # type: ignore[arg-type]


def test_of_two_files_for_one_recording_none_is_chosen() -> None:
    first, second = find_all(file(1, "Song.wav", "a"), file(2, "Song.flac", "b"))
    assert [first.state, second.state] == [State.AMBIGUOUS] * 2
    assert "“Song.flac”" in first.sentence
    assert "“Song.wav”" in second.sentence
    assert list(first.candidates) == list(second.candidates) == [SONG.pk]


def test_of_two_equal_files_the_second_is_the_same_twice() -> None:
    first, second = find_all(file(1, "Song.wav", "a"), file(2, "x/Song.wav", "a"))
    assert (first.state, second.state) == (State.MATCHED, State.TWICE)
    assert "“Song.wav”" in second.sentence


@pytest.mark.parametrize(
    "paths",
    [
        ("QZABC2600001.wav", "Don't Stop.wav"),
        ("Don't Stop.wav", "QZABC2600001.wav"),
        ("Song.wav", "01_final_v3.wav"),
        ("Intro.wav", "Bea Voice - Intro.wav"),
        ("x.wav", "Song.wav", "Don't Stop.wav"),
    ],
)
def test_one_file_under_the_names_of_several_recordings_is_left_to_a_person(
    paths: Sequence[str],
) -> None:
    first, *more = find_all(*(file(pk, path, "a") for pk, path in enumerate(paths, 1)))
    candidates = {find(path).recording for path in paths} - {None}
    assert (first.state, {one.state for one in more}) == (State.AMBIGUOUS, {State.TWICE})
    assert candidates <= set(first.candidates)
    assert len(first.candidates) == 2
    assert "It was sent as “" in first.sentence


@pytest.mark.parametrize("other", ["QZABC2600001.wav", "Song.wav"])
def test_a_file_is_found_by_any_name_it_was_sent_under(other: str) -> None:
    first, second = find_all(file(1, "AAA_final_mix_v7.wav", "a"), file(2, other, "a"))
    assert (first.state, first.recording) == (State.MATCHED, SONG.pk)
    assert f"“{other}”" in first.sentence
    assert second.state == State.TWICE


def test_two_names_of_one_recording_agree() -> None:
    first, second = find_all(file(1, "QZABC2600001.wav", "a"), file(2, "Song.wav", "a"))
    assert (first.state, first.how) == (State.MATCHED, How.ISRC_IN_NAME)
    assert second.state == State.TWICE


def test_two_doubts_about_the_same_recordings_are_told_as_they_are() -> None:
    first, _ = find_all(file(1, "Intro.wav", "a"), file(2, "01 Intro.wav", "a"))
    assert first == find("Intro.wav")


def test_the_hash_is_before_all_names_that_a_file_was_sent_under() -> None:
    names_ = ("Song.wav", "Don't Stop.wav")
    files = [file(pk, name, "a", md5="b" * 32) for pk, name in enumerate(names_, 1)]
    first, _ = find_all(*files)
    assert (first.state, first.recording) == (State.MATCHED, HASHED.pk)


def test_names_of_copies_from_before_speak_when_files_are_matched_anew() -> None:
    before = [file(2, "Don't Stop.wav", "a")]
    (found,) = find_all(file(1, "Song.wav", "a"), earlier=before)
    assert (found.state, sorted(found.candidates)) == (State.AMBIGUOUS, [SONG.pk, DONT.pk])


def test_the_file_with_the_announced_hash_is_chosen_among_two() -> None:
    right = file(2, "b.wav", "b", md5="b" * 32)
    first, second = find_all(file(1, "Untitled 2.wav", "a"), right)
    assert (first.state, second.state) == (State.AMBIGUOUS, State.MATCHED)
    assert "“b.wav”" in first.sentence


def test_a_recording_that_a_person_chose_a_file_for_gets_no_second_one() -> None:
    (found,) = find_all(file(1, "Song.wav", "a"), taken={SONG.pk: "chosen.wav"})
    assert (found.state, list(found.candidates)) == (State.AMBIGUOUS, [SONG.pk])
    assert "“chosen.wav”" in found.sentence


def test_the_order_of_the_files_changes_nothing() -> None:
    files = [file(1, "Song.wav", "a"), file(2, "Intro.wav", "b"), file(3, "01 Song.wav", "c")]
    forth = [found.state for found in find_all(*files)]
    assert forth == [found.state for found in find_all(*files[::-1])][::-1]


def test_no_files_are_no_findings() -> None:
    assert find_all() == []
