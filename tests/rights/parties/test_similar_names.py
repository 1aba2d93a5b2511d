"""Names that may be one party's are found, and others are not."""

import pytest

from rights.parties.similar_names import NameIndex


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Dashjane -", "Dashjane"), ("Dash Jane", "Dashjane"), ("Smith, Jane", "Jane Smith"),
        ("BJORK", "Bj\u00f6rk"), ("Jane Do", "Jane Doe"), ("Jane  D\u00f6e", "Jane Doe"),
        ("Good Label Ltd.", "Good Label"), ("Sigur Ros", "Sigur R\u00f3s"), ("AC/DC", "ACDC"),
        ("\u4e45\u77f3 \u8b72", "\u4e45\u77f3\u8b72"), ("Joe Hisaishi", "Hisaishi Joe"),
        ("A. B. Carter", "AB Carter"),
    ],
)  # fmt: skip
def test_a_name_written_otherwise_is_found(name: str, other: str) -> None:
    index = NameIndex([(1, other), (2, "Somebody Else Entirely")])
    assert [each.key for each in index.similar(name)] == [1]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Jane", "Jane Doe"),
        ("Max Roe", "Ann Poe"),
        ("The Band", "The Bees"),
        ("", "Jane"),
        ("-", "+"),
    ],
)
def test_another_name_is_not(name: str, other: str) -> None:
    assert NameIndex([(1, other)]).similar(name) == []


def test_the_likest_come_first_and_each_party_once() -> None:
    index = NameIndex([(1, "Jane Doe"), (1, "jane doe"), (2, "Jane Dow"), (3, "Jane Does")])
    assert [each.key for each in index.similar("Jane Doe")] == [1, 3, 2]
    assert [each.key for each in index.similar("Jane Doe", most=1)] == [1]
