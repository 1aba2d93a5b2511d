"""Bytes in part and whole, unchanged and out of reach, with headers that keep them private."""

import io

import pytest
from django.test import RequestFactory

from portal import storage
from portal.http.serving import blob_response, disposition
from portal.models import Blob

BODY = bytes(range(200))


@pytest.fixture
def blob(db: None) -> Blob:
    return storage.put(io.BytesIO(BODY), media_type="audio/flac")


def ask(blob: Blob, method: str = "get", **headers: str):
    request = getattr(RequestFactory(), method)("/", headers=headers)
    response = blob_response(request, blob, "clip.flac")
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return response, body


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=190-", 190, 199),
        ("bytes=-5", 195, 199),
        ("bytes=-9999", 0, 199),
        ("bytes=100-99999", 100, 199),
    ],
)
def test_one_range_answers_206_with_those_bytes(
    blob: Blob, header: str, first: int, last: int
) -> None:
    response, body = ask(blob, Range=header)
    assert response.status_code == 206
    assert body == BODY[first : last + 1]
    assert response["Content-Range"] == f"bytes {first}-{last}/200"
    assert response["Content-Length"] == str(len(body))


@pytest.mark.parametrize("header", ["bytes=200-", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_range_behind_the_end_answers_416_with_the_size(blob: Blob, header: str) -> None:
    response, _ = ask(blob, Range=header)
    assert response.status_code == 416
    assert response["Content-Range"] == "bytes */200"


@pytest.mark.parametrize("header", ["", "lines=1-2", "bytes=", "bytes=5-2", "bytes=0-1,4-5"])
def test_range_that_makes_no_sense_is_ignored(blob: Blob, header: str) -> None:
    response, body = ask(blob, Range=header)
    assert (response.status_code, body) == (200, BODY)


def test_entity_tag_spares_bytes_and_guards_ranges(blob: Blob) -> None:
    response, _ = ask(blob)
    etag = response["ETag"]
    assert ask(blob, **{"If-None-Match": f'"x", W/{etag}'})[0].status_code == 304
    assert ask(blob, **{"If-Range": etag, "Range": "bytes=0-1"})[0].status_code == 206
    assert ask(blob, **{"If-Range": '"old"', "Range": "bytes=0-1"})[0].status_code == 200


def test_head_tells_the_length_and_sends_nothing(blob: Blob) -> None:
    response, body = ask(blob, "head")
    assert (response["Content-Length"], body) == ("200", b"")


def test_answers_are_private_unstored_and_never_sniffed(blob: Blob) -> None:
    response, _ = ask(blob)
    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"].startswith("inline;")


def test_what_is_not_audio_is_only_ever_saved(db: None) -> None:
    page = storage.put(io.BytesIO(b"<script>"), media_type="text/html")
    response, _ = ask(page)
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment;")


def test_missing_file_is_404(blob: Blob) -> None:
    storage.remove(blob.sha256)
    assert ask(blob)[0].status_code == 404


def test_names_cannot_break_out_of_the_header() -> None:
    value = disposition('../../a"b\r\nSet-Cookie: x=1/é.wav', attachment=False)
    assert "\r" not in value
    assert "\n" not in value
    assert "/" not in value
    assert value.count('"') == 2
