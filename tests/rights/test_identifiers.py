"""Identifiers: values of the standards (reference: ISO 3901, 15707, 27729, CISAC IPI)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rights import identifiers
from rights.identifiers import BadIdentifier


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
    for read in (identifiers.isrc, identifiers.iswc, identifiers.ipi_name, identifiers.isni):
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
