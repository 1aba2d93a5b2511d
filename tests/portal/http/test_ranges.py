"""Byte ranges by RFC 9110, section 14."""

import pytest

from portal.http.serving import Unsatisfiable, span

SIZE = 100
WHOLE = (0, SIZE - 1)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", (0, 9)), ("bytes=90-", (90, 99)), ("bytes=-10", (90, 99)),
        # An end, or a length, behind the end of the file is the end of the file.
        ("bytes=0-99999999999999999999", WHOLE), ("bytes=50-" + "9" * 6_000, (50, 99)),
        ("bytes=-99999999999999999999", WHOLE), ("bytes=-" + "9" * 6_000, WHOLE),
        ("bytes=" + "0" * 40 + "5-9", (5, 9)), ("Bytes=0-9", (0, 9)), ("bytes= 0-9 ", (0, 9)),
        # Empty parts of a list are nothing.
        ("bytes=,0-9,", (0, 9)),
        # What is no range of bytes, or several, is as if nobody had asked for a part.
        ("bytes=5-2", None), ("bytes=-", None), ("bytes=a-b", None), ("rows=0-9", None),
        ("bytes", None), ("bytes=0-1,5-6", None), ("bytes=\u0661-\u0662", None), ("", None),
        ("bytes=0-9-10", None), ("bytes=--5", None), ("bytes=+1-2", None),
    ],
)  # fmt: skip
def test_a_range_is_what_the_rfc_says(header: str, part: tuple[int, int] | None) -> None:
    assert span(header, SIZE) == part


@pytest.mark.parametrize(
    "header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=" + "9" * 30 + "-"]
)
def test_what_begins_behind_the_end_cannot_be_given(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        span(header, SIZE)


def test_an_empty_file_has_no_parts() -> None:
    with pytest.raises(Unsatisfiable):
        span("bytes=0-", 0)
