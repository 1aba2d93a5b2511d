"""Identifiers: values of the standards (reference: ISO 3901, 15707, 27729, CISAC IPI)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rights import identifiers
from rights.identifiers import BadIdentifier

# As Japanese files write digits.
FULL_WIDTH = "\uff14\uff10\uff10\uff16\uff13\uff18\uff11\uff13\uff13\uff13\uff19\uff13\uff11"


@pytest.mark.parametrize(
    ("read", "text", "compact"),
    [
        (identifiers.isrc, "US-SKG-19-12345", "USSKG1912345"),
        (identifiers.isrc, "qmda71418090", "QMDA71418090"),
        (identifiers.isrc, " ", ""),
        (identifiers.iswc, "T-034.524.680-1", "T0345246801"),
        (identifiers.iswc, "t0345246801", "T0345246801"),
        (identifiers.iswc, "", ""),
        (identifiers.ipi_name, "00000000199", "00000000199"),
        (identifiers.ipi_name, "199", "00000000199"),
        (identifiers.ipi_name, "", ""),
        (identifiers.isni, "0000 0001 2281 955X", "000000012281955X"),
        (identifiers.isni, "0000000121032683", "0000000121032683"),
        (identifiers.isni, "", ""),
        # As other systems and spreadsheets write them.
        (identifiers.isrc, "ISRC: US-SKG-19-12345", "USSKG1912345"),
        (identifiers.isrc, "ISRC11912345", "ISRC11912345"),
        (identifiers.iswc, "0345246801", "T0345246801"),
        (identifiers.iswc, "ISWC T-034.524.680-1", "T0345246801"),
        (identifiers.isni, "12281955x", "000000012281955X"),
        (identifiers.isni, "https://isni.org/isni/000000012281955X", "000000012281955X"),
        (identifiers.isni, "121032683.0", "0000000121032683"),
        (identifiers.ipi_name, "199.0", "00000000199"),
        (identifiers.ipi_base, "i-000000001-9", "I0000000019"),
        (identifiers.grid, "GRid:A1-2425G-ABC1234002-M", "A12425GABC1234002M"),
        (identifiers.upc, "36000291452.0", "036000291452"),
        (identifiers.upc, "EAN 4006381333931", "4006381333931"),
        (identifiers.upc, "ICPN:4006381333931", "4006381333931"),
        (
            identifiers.upc,
            "\uff14\uff10\uff10\uff16\uff13\uff18\uff11\uff13\uff13\uff13\uff19\uff13\uff11",
            "4006381333931",
        ),
        (identifiers.isrc, "ISRCUSSKG1912345", "USSKG1912345"),
        (identifiers.isrc, "\u200bUSSKG1912345\u200e", "USSKG1912345"),
    ],
)
def test_valid_codes_are_read_and_made_compact(
    read: Callable[[str], str], text: str, compact: str
) -> None:
    assert read(text) == compact


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (identifiers.isrc, "XX-SKG-19-12345"),
        (identifiers.isrc, "USRC1760783"),
        (identifiers.iswc, "T-034.524.680-2"),
        (identifiers.iswc, "T-034.524.68"),
        (identifiers.iswc, "T034524680१"),
        (identifiers.ipi_name, "00000000198"),
        (identifiers.ipi_name, "1²3"),
        (identifiers.ipi_name, "000000000199"),
        (identifiers.isni, "0000000121032684"),
        (identifiers.isni, "x"),
    ],
)
def test_invalid_codes_are_refused_with_a_sentence(read: Callable[[str], str], text: str) -> None:
    with pytest.raises(BadIdentifier, match="is not an") as refusal:
        read(text)
    assert refusal.value.field == read.__name__


@pytest.mark.parametrize(
    ("read", "text", "right", "given"),
    [
        (identifiers.iswc, "T-034.524.680-2", "1", "2"),
        (identifiers.isni, "0000 0001 2281 9551", "X", "1"),
        (identifiers.ipi_name, "00000000198", "99", "98"),
        (identifiers.ipi_base, "I-000000001-8", "9", "8"),
        (identifiers.grid, "A1-2425G-ABC1234002-N", "M", "N"),
        (identifiers.upc, "036000291453", "2", "3"),
    ],
)
def test_a_refusal_names_the_digit(
    read: Callable[[str], str], text: str, right: str, given: str
) -> None:
    with pytest.raises(BadIdentifier, match=f"would have to be {right}, not {given}"):
        read(text)


@pytest.mark.parametrize("text", ["3.60003E+11", "1,22819e14"])
def test_a_number_that_a_spreadsheet_has_rounded_is_not_guessed(text: str) -> None:
    for read in (identifiers.upc, identifiers.isni, identifiers.ipi_name):
        with pytest.raises(BadIdentifier, match="rounded by a spreadsheet"):
            read(text)


@given(st.integers(0, 999_999_999), st.integers(0, 7))
def test_an_iswc_catches_every_swap_of_neighbours(number: int, place: int) -> None:
    digits = f"{number:09d}"
    swapped = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    if swapped != digits:
        # One step in weight times the difference of two digits is never a multiple of ten.
        assert identifiers.iswc_check_digit(swapped) != identifiers.iswc_check_digit(digits)


@given(st.integers(0, 999_999_999))
def test_ipi_check_digits_have_two_places(number: int) -> None:
    digits = f"{number:09d}"
    assert identifiers.ipi_name(digits + identifiers.ipi_check_digits(digits)).isdigit()


@given(st.text(max_size=20))
def test_no_text_breaks_a_reader(text: str) -> None:
    readers = (
        identifiers.isrc, identifiers.iswc, identifiers.ipi_name, identifiers.ipi_base,
        identifiers.isni, identifiers.grid, identifiers.upc,
    )  # fmt: skip
    for read in readers:
        try:
            assert read(text).isascii()
        except BadIdentifier:
            continue


SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.mark.parametrize(
    ("typed", "compact"),
    [
        ("", ""),
        (" ", ""),
        (SHA256, f"sha256:{SHA256}"),
        (f"SHA-256: {SHA256.upper()}", f"sha256:{SHA256}"),
        ("sha_1:" + "a" * 40, "sha1:" + "a" * 40),
        ("D" * 32, "md5:" + "d" * 32),
    ],
)
def test_a_hash_of_a_file_is_read_in_any_spelling(typed: str, compact: str) -> None:
    assert identifiers.file_hash(typed) == compact


@pytest.mark.parametrize(
    "typed",
    ["abc", "md5:" + "d" * 31, "md5:" + "g" * 32, "crc32:" + "d" * 8, "md5:", "sha1:" + SHA256],
)
def test_what_is_no_hash_is_refused_with_what_one_is(typed: str) -> None:
    with pytest.raises(identifiers.BadIdentifier, match="hexadecimal digits"):
        identifiers.file_hash(typed)
