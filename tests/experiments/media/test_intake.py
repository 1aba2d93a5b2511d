"""Packs of media as the portal takes them: once, in any order, bounded, and gone with their run."""

import struct
import zlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from django.conf import LazySettings
from django.test import Client, TestCase
from django.utils import timezone

import backline
from backline.media import packs
from backline.media.packs import Item, Pack
from experiments.media import intake, reading
from experiments.metrics.metrics import Conflict
from experiments.models import Media, MediaUse, Project, Run
from experiments.runs import runs, shelving
from portal import storage, tokens
from portal.models import Blob, User
from tests.experiments.media.logged import log, pack

pytestmark = pytest.mark.django_db

Text, Image = backline.Text, backline.Image


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project)


def texts(run: Run) -> dict[int, list[str]]:
    """What stands at each step."""
    found: dict[int, list[str]] = {}
    for row in Media.objects.current().filter(run=run).order_by("step", "index"):
        found.setdefault(row.step, []).append(row.content["text"])
    return found


def test_a_pack_counts_once_and_the_latest_of_a_name_and_step_stands(run: Run) -> None:
    assert log(run, 5, note=[Text("a"), Text("b")], number=1).items == 2
    assert log(run, 5, note=[Text("a"), Text("b")], number=1).duplicate
    with pytest.raises(Conflict):
        log(run, 5, note=Text("other"), number=1)
    log(run, 5, note=Text("later"), number=7)
    # Set aside before, and delivered now: what was logged after it stays.
    assert log(run, 5, note=Text("earlier"), number=3).items == 0
    assert texts(run) == {5: ["later"]}
    # A session that began later, as of a program that was resumed.
    log(run, 5, note=Text("resumed"), session="again", number=1)
    assert texts(run) == {5: ["resumed"]}
    use = MediaUse.objects.get(run=run)
    assert (use.items, use.bytes, use.left_out) == (1, Media.objects.get().size, 0)


def test_a_newer_attempt_takes_the_place_of_older_ones_as_in_curves(run: Run) -> None:
    for number, step in enumerate((10, 20, 30)):
        log(run, step, note=Text("1"), other=Text("x"), session="attempt-1", number=number)
    log(run, 20, note=Text("2"), session="attempt-2", number=0)
    # Of the older attempt, late: before and after the step at which the newer one began.
    log(run, 15, note=Text("1"), session="attempt-1", number=8)
    log(run, 25, note=Text("1"), session="attempt-1", number=9)
    rows = Media.objects.filter(name="note").order_by("step", "attempt")
    assert [(row.step, row.attempt, row.replaced) for row in rows] == [
        (10, 1, False), (15, 1, False), (20, 1, True), (20, 2, False), (25, 1, True), (30, 1, True),
    ]  # fmt: skip
    assert not Media.objects.filter(name="other", replaced=True).exists()
    assert reading.steps_of([run.pk], "note") == {run.pk: [10, 15, 20]}


def test_what_is_beyond_a_limit_is_left_out_and_counted(
    client: Client, ada: User, run: Run, settings: LazySettings
) -> None:
    settings.MEDIA_RUN_ITEMS = 2
    log(run, 1, a=Text("1"), b=Text("2"))
    assert log(run, 2, a=Text("3")).left_out == 1
    # In place of what was there it fits.
    assert log(run, 1, a=Text("4")).items == 1
    settings.MEDIA_RUN_ITEMS, settings.MEDIA_PROJECT_BYTES = 100, 200
    picture = np.random.default_rng(1).integers(0, 256, (40, 40)).astype(np.uint8)
    assert log(run, 3, a=Image(picture), b=Text("small")).left_out == 1
    use = MediaUse.objects.get(run=run)
    assert (use.items, use.left_out) == (3, 2)
    assert use.why.startswith("A project has at most")
    # Its people see it, on the run's page and in the project's settings.
    client.force_login(ada)
    page = client.get(f"{run.get_absolute_url()}media/").content.decode()
    assert "2 of what its program logged were left out. A project has at most" in page
    assert (
        "media, of 200\xa0bytes" in client.get("/projects/first-light/settings/").content.decode()
    )
    # Its bytes were not kept either.
    assert not Blob.objects.filter(media_type="image/png").exists()


def picture_pack(data: bytes) -> bytes:
    return packs.encode(Pack(1, 1.0, [(Item(name="a", kind="image", size=len(data)), data)]))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int, rows: bytes) -> bytes:
    """A PNG that claims a size, with the rows that are given."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts)


GOOD = Image(np.arange(60, dtype=np.uint8).reshape(6, 10)).encode().data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bomb(10_000, 10_000, b""), "100 megapixels"),
        (bomb(4_000, 4_000, b""), "damaged"),
        (GOOD[:40], "damaged"),
        (GOOD[:24] + b"junk" * 9, "damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "no PNG"),
        (b"<html><script>alert(1)</script></html>", "no PNG"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x05\x00\x05" + b"x" * 50, "damaged"),
    ],
)  # fmt: skip
def test_pictures_that_are_none_are_refused_and_leave_nothing(
    run: Run, data: bytes, words: str
) -> None:
    with pytest.raises(packs.Malformed, match=words):
        intake.receive(run, "script", 1, picture_pack(data))
    assert not Media.objects.exists()
    assert not run.batches.exists()


def test_one_that_is_wrong_costs_the_others_of_its_call_nothing(run: Run) -> None:
    bad = Item(name="spec", kind="image", size=4)
    good = Item(name="note", kind="text", content={"text": "a"})
    data = packs.encode(Pack(1, 1.0, [(bad, b"junk"), (good, b"")]))
    taken = intake.receive(run, "script", 1, data)
    assert (taken.items, taken.left_out) == (1, 1)
    assert texts(run) == {1: ["a"]}
    assert MediaUse.objects.get(run=run).why.startswith("spec, item 1: This is no PNG")


def test_a_large_picture_is_shown_small_and_stored_whole(run: Run) -> None:
    large = np.zeros((300, 1500, 4), np.uint8)
    large[:, :, 3] = 255
    log(run, 1, a=Image(large), b=Image(np.zeros((3, 3))))
    wide, small = Media.objects.order_by("name")
    assert (wide.content["width"], wide.content["height"]) == (1500, 300)
    assert wide.thumbnail is not None
    with storage.open_blob(wide.thumbnail.sha256) as file:
        assert struct.unpack(">II", file.read()[16:24]) == (512, 102)
    assert small.thumbnail is None
    for encoder, media_type in (("mjpeg", "image/jpeg"), ("libwebp", "image/webp")):
        log(run, 2, a=_File(encoded(encoder)))
        assert Media.objects.get(step=2).content["type"] == media_type


class _File(Image):
    """A picture file that is there already."""

    def _bytes(self) -> bytes:
        return bytes(self._image)


def encoded(codec: str) -> bytes:
    import av

    frame = av.VideoFrame.from_ndarray(np.full((16, 24, 3), 90, np.uint8), format="rgb24")
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height = 24, 16
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base = Fraction(1)
    made = [*context.encode(frame.reformat(format=context.pix_fmt)), *context.encode(None)]
    return b"".join(bytes(packet) for packet in made)


def test_documents_and_inline_content_are_checked_here_too(run: Run) -> None:
    def sent(kind: str, content: Any = None, data: bytes = b"") -> bytes:
        item = Item(name="a", kind=kind, content=content or {}, size=len(data))  # type: ignore[arg-type]
        return packs.encode(Pack(1, 1.0, [(item, data)]))

    deep = b'{"data":[{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}]}"
    for data, words in (
        (sent("histogram", {"counts": [1], "edges": [2, 1]}), "ascend"),
        (sent("histogram", {"counts": [1] * 600, "edges": [1]}), "512"),
        (sent("confusion", {"labels": ["a"], "counts": []}), "a row and a column"),
        (sent("text", {"text": "x" * 30_000}), "20000"),
        (sent("table", data=b"[1"), "no JSON"),
        (sent("table", data=b'{"columns":["a"],"rows":[[NaN]]}'), "no number"),
        (sent("table", data=b'{"columns":["a"],"rows":[[1e999]]}'), "finite"),
        (sent("table", data=b'{"columns":["a"],"rows":[["\\u0000"]]}'), "NUL"),
        (sent("table", data=b'{"columns":["a"],"rows":[[1,2]]}'), "a cell for each column"),
        (sent("figure", data=deep), "nest|recursion"),
        (sent("figure", data=b'{"data":[{"x":"\\ud800"}]}'), "surrogate"),
    ):  # fmt: skip
        with pytest.raises(packs.Malformed, match=words):
            intake.receive(run, "script", 1, data)
    kept = b'{"data":[{"type":"bar"}],"layout":{},"frames":[1],"config":{"x":1}}'
    intake.receive(run, "script", 1, sent("figure", data=kept))
    with storage.open_blob(Media.objects.get().file.sha256) as file:
        assert file.read() == b'{"data":[{"type":"bar"}],"layout":{}}'


def test_the_api_takes_packs_of_a_runs_own_program_and_gives_them_to_its_people(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    path = f"/api/v1/runs/{run.pk}/media"
    own = {"Authorization": f"Bearer {tokens.issue(ada, 'a')[1]}"}
    other = {"Authorization": f"Bearer {tokens.issue(ben, 'b')[1]}"}
    body = pack(3, {"note": Text("a"), "spec": Image(np.zeros((2, 2)))})

    def post(address: str, body: bytes, headers: dict[str, str]) -> int:
        answer = client.post(
            address, body, content_type="application/octet-stream", headers=headers
        )
        return answer.status_code

    assert post(f"{path}?session=s&number=1", body, other) == 404
    assert post(f"{path}?session=s&number=1", b"nothing", own) == 400
    assert post(f"{path}?session=&number=1", body, own) == 422
    assert [post(f"{path}?session=s&number=1", body, own) for _ in range(2)] == [200, 200]
    assert post(f"{path}?session=s&number=1", pack(3, {"note": Text("b")}), own) == 409
    assert client.get(path, headers=other).status_code == 404
    listed = client.get(f"{path}?name=spec&step=3", headers=own).json()
    (spec,) = listed["items"]
    assert (listed["count"], spec["kind"], spec["content"]["width"]) == (1, "image", 2)
    answer = client.get(spec["file"], headers=own)
    assert answer.headers["Content-Type"] == "image/png"
    assert client.get(spec["file"], headers=other).status_code == 404
    (note,) = client.get(f"{path}?name=note", headers=own).json()["items"]
    assert client.get(f"{path}/{note['id']}", headers=own).status_code == 404
    Run.objects.filter(pk=run.pk).update(state=Run.State.FINISHED, ended_at=timezone.now())
    # New after its end, and not from its own program.
    assert post(f"{path}?session=s&number=2", body, own) == 409


def test_a_purged_run_has_no_media_and_their_bytes_are_gone(ada: User, run: Run) -> None:
    log(run, 1, a=Image(np.zeros((900, 900))), b=Text("x"))
    digests = list(Blob.objects.values_list("pk", flat=True))
    assert len(digests) == 2
    Run.objects.filter(pk=run.pk).update(state=Run.State.FINISHED, ended_at=timezone.now())
    shelving.delete(run=run, by=ada)
    assert not Media.objects.visible_to(ada).exists()
    with TestCase.captureOnCommitCallbacks(execute=True):
        shelving.purge_due(timezone.now() + shelving.KEPT * 2)
    assert not Media.objects.exists()
    assert not MediaUse.objects.exists()
    assert not Blob.objects.exists()
    assert not any(map(storage.exists, digests))
