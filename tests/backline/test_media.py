"""What each kind of media takes and sends, what it refuses with a sentence; the packs of them."""

import io
import json
import struct
import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import backline
from backline import frames
from backline.media import NotLoggable, collecting, headers, packs
from backline.media.base import Media

NAN = float("nan")
NOISE = np.random.default_rng(1).integers(0, 256, (3000, 3000)).astype(np.uint8)


def decoded(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and the rows of a PNG of ours, undone."""
    width, height = struct.unpack(">II", data[16:24])
    at, rows = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            rows += data[at + 8 : at + 8 + length]
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(rows), np.uint8).reshape(height, -1)
    assert set(lines[:, 0]) == {2}
    return width, height, np.cumsum(lines[:, 1:], axis=0, dtype=np.uint8).tobytes()


class Pil:
    """What a PIL image has that is used of it."""

    mode, size = "CMYK", (2, 3)

    def convert(self, mode: str) -> "Pil":
        assert mode == "RGB"
        return self

    def save(self, file: io.BytesIO, kind: str) -> None:
        assert kind == "PNG"
        file.write(backline.Image(np.zeros((3, 2), np.uint8)).encode().data)


def test_pictures_of_all_kinds_arrive_pixel_by_pixel() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    for image in (
        pixels,
        pixels.astype(np.int64),
        pixels / 255,
        torch.from_numpy(pixels).permute(2, 0, 1),
    ):
        assert decoded(backline.Image(image).encode().data) == (7, 5, pixels.tobytes())
    grey = backline.Image(np.array([[0.0, 1.0]], np.float32)).encode()
    assert decoded(grey.data)[2] == b"\x00\xff"
    live = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    assert decoded(backline.Image(live).encode().data) == (3, 2, b"\xff" * 6)
    assert decoded(backline.Image(np.eye(2) > 0).encode().data)[2] == b"\xff\x00\x00\xff"
    assert headers.read(backline.Image(Pil()).encode().data) == headers.Claim("png", 2, 3)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (backline.Image(np.array([[0.0, 3.5]])), "go from 0 to 1; these go from 0 to 3.5"),
        (backline.Image(np.array([[0.0, NAN]])), "to nan"),
        (backline.Image(np.array([[-1, 300]])), "from 0 to 255; these go from -1 to 300"),
        (backline.Image(np.zeros((4, 4, 2))), "1, 3 or 4 channels"),
        (backline.Image(np.zeros(4)), "has the shape"),
        (backline.Image(np.zeros((0, 4))), "has the shape"),
        (backline.Image(np.array([["a"]])), "is of numbers"),
        (backline.Image(np.zeros((10_000, 10_000), np.uint8)), "100 megapixels; at most 16"),
        (backline.Image(NOISE), "MB as a file"),
        (backline.Image(SimpleNamespace(save=0, mode="L", size=(10**5, 10**5))), "megapixels"),
        (backline.Histogram(), "needs values"),
        (backline.Histogram(["a", "b"]), "is of numbers"),
        (backline.Histogram([1.0], bins=9_999), "1 to 512 bins"),
        (backline.Histogram(counts=[1, 2], edges=[0, 1]), "one edge more than counts"),
        (backline.Histogram(counts=[1, 2], edges=[0, 1, 1]), "ascend"),
        (backline.Histogram(counts=[-1], edges=[0, 1]), "greater than or equal to 0"),
        (backline.Histogram(counts=[1], edges=[0, NAN]), "finite"),
        (backline.Table(["a"]), "columns and rows"),
        (backline.Table(["a"], [[1, 2]]), "Row 1 of the table has 2 cells for 1 columns"),
        (backline.Table([], []), "1 to 100 columns"),
        (backline.ConfusionMatrix(), "needs counts"),
        (backline.ConfusionMatrix(["a"], [[1, 2]]), "a row and a column for each label"),
        (backline.ConfusionMatrix(y_true=[1, 2], y_pred=[1]), "2 true classes and 1 predicted"),
        (backline.ConfusionMatrix(["a"], y_true=["b"], y_pred=["a"]), "are not all among"),
        (backline.ConfusionMatrix(y_true=range(200), y_pred=range(200)), "more than 100"),
        (backline.Figure(3), "Plotly or matplotlib, not int"),
        (backline.Figure({"data": [{"x": [0.5] * 900_000}]}), "2 are sent"),
        (backline.Figure({"data": 3}), "data"),
        (backline.Figure({"data": [{"x": NAN}]}), "NaN"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_with_a_sentence(thing: Media, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        thing.encode()


def test_histograms_count_here_and_count_what_is_not_finite_apart() -> None:
    values = torch.tensor([[0.0, 1.0, NAN], [float("inf"), -float("inf"), 0.2]], requires_grad=True)
    content = backline.Histogram(values, bins=2).encode().content
    assert content == {"counts": [2, 1], "edges": [0, 0.5, 1], "nan": 1, "above": 1, "below": 1}
    only = backline.Histogram([NAN, NAN]).encode().content
    assert (only["counts"], only["nan"]) == ([0], 2)
    same = backline.Histogram(np.full(9, 3.0), bins=4).encode().content
    assert sum(same["counts"]) == 9


def test_tables_keep_their_first_rows_and_say_how_many_were_left_out() -> None:
    rows = [[1, NAN, float("inf"), True, None, "größer", np.float32(0.5), {"a": 1}, 2**70]]
    data = backline.Table(list("abcdefghi"), rows).encode().data
    table = packs.document("table", data)
    assert table["rows"] == [[1, None, "inf", True, None, "größer", 0.5, "{'a': 1}", str(2**70)]]
    many = backline.Table(["n"], ([n] for n in range(1_000_000))).encode()
    table = packs.document("table", many.data)
    assert (len(table["rows"]), table["left_out"]) == (10_000, 990_000)
    assert many.note == "990,000 of 1,000,000 rows were left out."
    wide = packs.document("table", backline.Table(["t"], [["x" * 1_900]] * 2_000).encode().data)
    assert len(wide["rows"]) + wide["left_out"] == 2_000
    assert len(wide["rows"]) < 600

    class Frame:
        columns = ("a", 1)

        def __len__(self) -> int:
            return 1

        def itertuples(self, *, index: bool, name: None) -> Any:
            assert (index, name) == (False, None)
            return iter([(1, "b")])

    assert packs.document("table", backline.Table(Frame()).encode().data)["columns"] == ["a", "1"]


def test_confusion_texts_and_figures_are_data() -> None:
    counted = backline.ConfusionMatrix(["no", "yes"], y_true=[0, 1, 1], y_pred=[0, 0, 1]).encode()
    assert counted.content == {"labels": ["no", "yes"], "counts": [[1, 0], [1, 1]]}
    named = backline.ConfusionMatrix(y_true=["b", "a"], y_pred=["b", "b"]).encode().content
    assert named == {"labels": ["a", "b"], "counts": [[0, 1], [0, 1]]}
    text = backline.Text("a\0b" + "x" * 30_000).encode()
    assert text.content["text"].startswith("a\N{REPLACEMENT CHARACTER}b")
    assert text.note == "Its first 20,000 of 30,003 characters are kept."
    figure = SimpleNamespace(
        to_plotly_json=None,
        to_json=lambda: json.dumps({"data": [{"x": [1]}], "layout": {}, "frames": [{"evil": 1}]}),
    )
    assert json.loads(backline.Figure(figure).encode().data) == {"data": [{"x": [1]}], "layout": {}}
    drawn = SimpleNamespace(
        savefig=lambda file, **_: file.write(backline.Image(np.zeros((2, 2))).encode().data)
    )
    pyplot = SimpleNamespace(gcf=lambda: drawn)
    assert [backline.Figure(one).encode().kind for one in (drawn, pyplot)] == ["image", "image"]


def collect(media: dict[str, list[Any]]) -> tuple[list[packs.Pack], list[str]]:
    said: list[str] = []
    made = collecting.packs_of(
        media, step=7, at=1.5, named=lambda name: name, warn=lambda words, _: said.append(words)
    )
    return [packs.decode(pack) for pack in made], said


def test_a_call_is_packed_and_what_is_wrong_costs_nothing_else() -> None:
    good = backline.Image(np.zeros((2, 2)), caption=" a\0 " + "b" * 400)

    class Broken(Media):
        def encode(self) -> Any:
            raise KeyError("broken")

    (pack,), said = collect({
        "a": [good, Broken(), good], "": [good], "x" * 300: [good], "b": [good] * 80,
        "c": [backline.Image(np.zeros(3)), "no media"],
    })  # fmt: skip
    assert [(item.name, item.index) for item, _ in pack.items] == [
        ("a", 0), ("a", 2), *(("b", n) for n in range(64)),
    ]  # fmt: skip
    assert pack.items[0][0].caption == ("a\N{REPLACEMENT CHARACTER} " + "b" * 400)[:300]
    assert len(said) == 6
    for words in ("KeyError", "cannot be a name", "80 items", "has the shape", "(str)"):
        assert any(words in sentence for sentence in said), words
    noise = np.random.default_rng(1)
    large = [
        backline.Image(noise.integers(0, 256, (1500, 1500)).astype(np.uint8)) for _ in range(3)
    ]
    made, said = collect({"a": large[:2], "b": large[2:], "c": large})
    assert [[item.name for item, _ in pack.items] for pack in made] == [
        ["a", "a", "b"],
        ["c"] * 3,
    ]
    assert said == []


def header(**fields: Any) -> bytes:
    item = {"name": "a", "kind": "text", "content": {"text": "x"}} | fields.pop("item", {})
    data = json.dumps({"step": 1, "at": 1.0, "items": [item]} | fields).encode()
    return packs.FRAME.join(data, b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "too short"),
        (b"BLMB\x01" + bytes(20), "first bytes"),
        (b"BLMM\x09" + bytes(20), "version 1, not 9"),
        (b"BLMM\x01\xff\xff\xff\xff", "longer than"),
        (bytes(frames.MAX_BYTES + 1), "may have"),
        (header(items=[]), "items"),
        (header(step=2**64), "step"),
        (header(at=float("nan")), "cannot be read"),
        (header(item={"kind": "video"}), "kind"),
        (header(item={"name": "a\nb"}), "cannot be a name"),
        (header(item={"name": "a\0"}), "NUL"),
        (header(item={"index": 64}), "index"),
        (header(item={"kind": "image"}), "without bytes"),
        (header(item={"kind": "image", "size": 10**9}), "at most 6,291,456"),
        (header(item={"size": 5}), "at most 0"),
        (header(item={"kind": "image", "size": 5}), "shorter or longer"),
        (header(item={"content": {"a": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}}), "nested"),
        (header(items=[{"name": "a", "kind": "text"}] * 2), "twice"),
        (header() + b"more", "shorter or longer"),
    ],
)  # fmt: skip
def test_what_is_no_pack_is_refused_with_a_reason(data: bytes, words: str) -> None:
    with pytest.raises(packs.Malformed, match=words):
        packs.decode(data)


def test_pictures_are_measured_by_their_first_bytes_and_bounded() -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR"
    assert headers.read(png + struct.pack(">II", 4000, 4000)).width == 4_000
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", 30, 40)
    assert headers.read(jpeg) == headers.Claim("jpeg", 40, 30)
    webp = b"RIFF\0\0\0\0WEBPVP8L" + b"\0" * 4 + b"\x2f" + struct.pack("<I", 19 | 9 << 14)
    assert headers.read(webp) == headers.Claim("webp", 20, 10)
    extended = b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 4
    assert headers.read(extended + bytes([0, 0, 0, 0, 9, 0, 0, 4, 0, 0])).width == 10
    for data, words in (
        (png + struct.pack(">II", 10_000, 10_000), "100 megapixels"),
        (png + struct.pack(">II", 0, 5), "a side has"),
        (png + struct.pack(">II", 2**31, 1), "a side has"),
        (png[:14], "no PNG"), (png, "cut off"), (jpeg[:12], "cut off"), (webp[:22], "cut off"),
        (b"\xff\xd8\xff" + b"\xff" * 50, "cut off"), (b"\xff\xd8\xff\xe0\x00\x02x", "damaged"),
        (extended + bytes([2, 0, 0, 0, 9, 0, 0, 4, 0, 0]), "moves"), (b"GIF89a", "no PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "no PNG"),
    ):  # fmt: skip
        with pytest.raises(headers.BadPicture, match=words):
            headers.read(data)


def test_nothing_of_media_loads_a_library_that_the_caller_did_not() -> None:
    with pytest.raises(NotLoggable):
        backline.Figure(object()).encode()
