"""Byte ranges by RFC 9110, section 14."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile
from django.test import RequestFactory

from portal import storage
from portal.http.playing import audio_response
from portal.http.serving import Unsatisfiable, blob_response, span

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


# --- What no browser plays -----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "subtype"), [("AIFF", "PCM_16"), ("WAV", "DOUBLE")])
def test_what_no_browser_plays_is_sent_as_24_bit_wav(kind: str, subtype: str) -> None:
    sound = np.sin(np.arange(8_000) / 5)[:, None] * 0.5
    file = io.BytesIO()
    soundfile.write(file, sound, 8_000, format=kind, subtype=subtype)
    blob = storage.put(io.BytesIO(file.getvalue()), media_type=f"audio/{kind.lower()}")

    def ask(**headers: str) -> tuple[int, bytes, Any]:
        request = RequestFactory().get("/", headers=headers)
        answer = audio_response(request, blob, "song.aiff")
        return answer.status_code, b"".join(answer.streaming_content), answer  # type: ignore[attr-defined]

    status, whole, answer = ask()
    assert status == 200
    assert answer["Content-Type"] == "audio/wav"
    assert 'filename="song.wav"' in answer["Content-Disposition"]
    assert int(answer["Content-Length"]) == len(whole)
    decoded, rate = soundfile.read(io.BytesIO(whole))
    assert rate == 8_000
    assert np.abs(decoded - sound[:, 0]).max() < 2**-15
    status, part, answer = ask(Range="bytes=100-199")
    assert (status, part) == (206, whole[100:200])
    assert answer["Content-Range"] == f"bytes 100-199/{len(whole)}"
    # A program that fetches it has it as it is.
    stored = blob_response(RequestFactory().get("/"), blob, "song.aiff")
    assert b"".join(stored.streaming_content) == file.getvalue()  # type: ignore[attr-defined]
    assert stored["ETag"] != answer["ETag"]
