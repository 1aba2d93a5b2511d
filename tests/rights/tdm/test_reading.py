"""Whatever somebody brings is read for what it is, or refused by what it seems to be."""

import json
from typing import Any

import pytest

from rights.errors import Refused
from rights.models import Signal, Use
from rights.tdm import reading, reservations, texts

GENERATIVE = {Use.TRAIN_GENERATIVE, Use.FINETUNE}
ASSERTION = {"entries": {"cawg.ai_generative_training": {"use": "notAllowed"}}}
REPORT = {
    "active_manifest": "urn:c2pa:1",
    "manifests": {
        "urn:c2pa:1": {
            "claim_generator": "x",
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.created"}]}},
                {"label": "cawg.training-mining", "data": ASSERTION},
            ],
        }
    },
    "validation_state": "Trusted",
}
RULES = [{"location": "/albums/*", "tdm-reservation": 1, "tdm-policy": "https://x.example/p"}]


def found(text: str | bytes, **options: str) -> list[tuple[str, str, set[str]]]:
    content = text if isinstance(text, bytes) else text.encode()
    return [
        (str(said.key), said.value, set(said.denied)) for said in reading.read(content, **options)
    ]


def refusal(text: str | bytes, **options: str) -> Refused:
    with pytest.raises(Refused) as refused:
        found(text, **options)
    return refused.value


def printed(value: Any) -> str:
    return json.dumps(value, indent=2)


DENIED = [("cawg.ai_generative_training", "notAllowed", GENERATIVE)]
RESERVED = [("tdm-reservation", "1", set(reservations.RESERVED))]


# --- What tools and browsers show -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        printed(REPORT),
        json.dumps(REPORT),
        f"$ c2patool song.wav\n{printed(REPORT)}\nrosa@studio:~/music$ ",
        (f"[2026-11-30T10:00:00Z INFO  c2patool] reading song.wav\n{printed(REPORT)}\n"
        "[rosa@studio music]$ "),
        f"PS C:\\music> c2patool song.wav\r\n{printed(REPORT)}\r\n".replace("\n", "\r\n"),
        f"\x1b[32mINFO\x1b[0m reading\n\x1b[1m{printed(REPORT)}\x1b[0m\n\x1b]0;title\x07",
        f"```json\n{printed(REPORT)}\n```",
        f"song.wav: {json.dumps(REPORT)}",
        printed(REPORT).replace('"', "“", 1).replace('"', "”", 1),
        printed(REPORT).replace("  ", "\u00a0 "),
        f"{printed({'active_manifest': None, 'manifests': {}})}\n{printed(REPORT)}",
        printed(ASSERTION),
        printed([{"label": "cawg.training-mining", "data": ASSERTION}]),
    ],
    ids=[
        "report", "one line", "shell", "log and prompt", "windows", "colours", "fenced",
        "after a name", "curled", "spaces that do not break", "two reports", "assertion", "listed",
    ],
)  # fmt: skip
def test_a_report_is_read_as_people_paste_it(text: str) -> None:
    assert found(text) == DENIED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_report_that_windows_saved_is_read(encoding: str) -> None:
    assert found(printed(REPORT).encode(encoding)) == DENIED


def test_a_detailed_report_is_read_however_deep_its_actions_lie() -> None:
    deep: Any = "end"
    for _ in range(25):
        deep = {"ingredient": deep}
    store = {"c2pa.actions": {"actions": [deep]}, "cawg.training-mining": ASSERTION}
    report = {"active_manifest": "a", "manifests": {"a": {"assertion_store": store}}}
    assert found(printed(report)) == DENIED


@pytest.mark.parametrize(
    "text",
    [
        printed(RULES),
        f"HTTP/2 200\ncontent-type: application/json\n\n{printed(RULES)}",
        "HTTP/2 200\nlink: <https://x.example/a>; rel=canonical\ntdm-reservation: 1\n",
        ("* Connected to x.example\n> GET / HTTP/2\n> user-agent: curl/8\n< HTTP/2 200\n"
        "< tdm-reservation: 1\n<\n"),
        "content-type:\ntext/html\ntdm-reservation:\n1\nvary:\nOrigin\n",
        "TDM Reservation                 : 1",
        '<!doctype html><html><head><meta name="tdm-reservation" content="1"></head></html>',
        "<META CONTENT='1'\n NAME = TDM-Reservation />",
        ("HTTP/2 200\nlink: <https://x.example/a>\ntdm-reservation: 0\n\n"
        '<html><meta name="tdm-reservation" content="1"></html>'),
        'HTTP/2 200\ntdm-reservation: 1\n\n<html><meta name="tdm-reservation" content="0"></html>',
        '<html><!-- <meta --><meta name="tdm-reservation" content="1"><!-- never closed',
        '<html><!-- a <meta name="tdm-reservation" content="1">',
        '<html><script>\n{"@type": "Thing"}\n</script><meta name="tdm-reservation" content="1">',
    ],
    ids=[
        "rules", "rules under headers", "headers", "curl -v", "browser", "exiftool", "page",
        "capitals", "page against headers", "headers against page", "comment", "open comment",
        "page with JSON",
    ],
)  # fmt: skip
def test_a_reservation_is_read_as_people_paste_it(text: str) -> None:
    assert found(text) == RESERVED


def test_headers_that_reserve_count_beside_rules_that_do_not() -> None:
    rules = printed([{"location": "/", "tdm-reservation": 0}])
    text = f"HTTP/2 200\ntdm-reservation: 1\n\n{rules}"
    assert found(text) == RESERVED
    assert found(text, path="/albums/one") == RESERVED
    assert found(rules, path="/albums/one") == [("tdm-reservation", "0", set())]


def test_a_comment_says_nothing() -> None:
    page = '<html><!-- <meta name="tdm-reservation" content="1"> --><title>x</title></html>'
    assert "no tdm-reservation in a meta element" in str(refusal(page))


def test_a_path_chooses_among_the_rules() -> None:
    assert found(printed(RULES), path="/albums/one") == RESERVED
    assert refusal(printed(RULES), path="/live").field == "path"


@pytest.mark.parametrize(
    ("text", "info"),
    [
        (
            (
                "ExifTool Version Number         : 12.76\n"
                "Data Mining                     : Prohibited for Generative AI/ML training\n"
            ),
            "Data Mining : Prohibited for Generative AI/ML training",
        ),
        ("[XMP-plus] DataMining : DMI-PROHIBITED-AIMLTRAINING", "DMI-PROHIBITED-AIMLTRAINING"),
        ('[{"SourceFile": "a.wav",\n "DataMining": "Prohibited"}]', '"DataMining": "Prohibited'),
    ],
)
def test_a_prohibition_of_plus_is_read_as_in_an_uploaded_file(text: str, info: str) -> None:
    (said,) = reading.read(text.encode())
    assert (said.scheme, said.key, said.value) == (
        Signal.Scheme.CAWG, "plus.DataMining", "notAllowed",
    )  # fmt: skip
    assert set(said.denied) == set(reservations.RESERVED)
    assert said.info == info


def test_a_report_with_both_is_read_for_both() -> None:
    report = {"manifests": {"a": {"assertions": [
        {"label": "cawg.training-mining", "data": ASSERTION},
        {"label": "stds.xmp", "data": {"plus:DataMining": "DMI-PROHIBITED"}}]}}}  # fmt: skip
    assert sorted(found(printed(report))) == sorted(
        [*DENIED, ("plus.DataMining", "notAllowed", set(reservations.RESERVED))]
    )


@pytest.mark.parametrize(
    ("text", "scheme"), [(printed(REPORT), "cawg"), (printed(RULES), "tdmrep")]
)
def test_what_it_is_is_found_out_and_a_wrong_choice_is_told(text: str, scheme: str) -> None:
    assert found(text, scheme=scheme) == found(text)
    other = {"cawg": "tdmrep", "tdmrep": "cawg"}[scheme]
    refused = refusal(text, scheme=other)
    assert refused.field == "scheme"
    assert f"What is in it is {Signal.Scheme(scheme).label}." in str(refused)


def test_a_choice_of_one_kind_hides_no_denial_of_another() -> None:
    text = f"{printed(RULES)}\n{printed(REPORT)}"
    assert sorted(found(text, scheme="tdmrep")) == sorted([*RESERVED, *DENIED])


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There is nothing in it."),
        (" \n\t ", "There is nothing in it."),
        ("No claim found\n", "c2patool prints for a file without content credentials"),
        ("Error: No claim found", "c2patool prints for a file without content credentials"),
        (
            printed(REPORT | {"manifests": {"a": {"assertions": [
                {"label": "c2pa.actions", "data": {}}, {"label": "c2pa.hash.data", "data": {}}]}}}),
            ("no training-mining assertion in it: the file says nothing of training, so there is "
            "nothing to note. Its assertions: c2pa.actions, c2pa.hash.data."),
        ),
        (
            "Asset:song.wav, Manifest:urn:c2pa:1\n├── Assertion:cawg.training-mining\n",
            "names a training-mining assertion, without the assertion itself",
        ),
        (
            "ExifTool Version Number         : 12.76\nJUMD Label : cawg.training-mining\n",
            "This is what exiftool prints",
        ),
        (
            "JUMD Label : cawg.training-mining\nData Mining : Prohibited\n",
            "names a training-mining assertion, without the assertion itself",
        ),
        ('[{"SourceFile": "song.wav", "Title": "x"}]', "This is what exiftool prints"),
        ("User-agent: *\nDisallow: /\n", "This is a robots.txt or ai.txt"),
        ("# AI\nUser-Agent: GPTBot\nAllow: /a\nDisallow: /\n", "This is a robots.txt or ai.txt"),
        ("https://x.example/.well-known/tdmrep.json", "This is only an address"),
        ("HTTP/1.1 200 OK\nContent-Type: text/html\n", "These are headers of a page"),
        ("<html><title>Hello</title></html>", "This is the source of a page"),
        ('<?xml version="1.0"?><urlset/>', "This is XML"),
        ('{"format": "backline.catalogue/1"}', "This is JSON with “format”, and neither"),
        ("[]", "This is JSON that is neither"),
        ("{}", "This is JSON that is neither"),
        ("not for training, please", "It cannot be told what this is: it begins with “not for"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_by_what_it_seems_to_be(text: str, words: str) -> None:
    refused = refusal(text)
    assert words in str(refused)
    assert refused.field == "file"


@pytest.mark.parametrize("character", [r"\ud800", r"\udfff", r"\u0000"])
def test_a_denial_under_a_key_that_cannot_be_stored_is_kept(character: str) -> None:
    text = (
        '{"label": "cawg.training-mining", "data": {"entries": '
        f'{{"{character}": {{"use": "notAllowed", "constraint_info": "a{character}"}}}}}}}}'
    )
    assert found(text) == [("\N{REPLACEMENT CHARACTER}", "notAllowed", set(Use))]


@pytest.mark.parametrize(
    "text",
    [
        r'{"\ud800": 1}',
        r'{"\ud800": 1, "\ud800": 2}',
        r'{"\u0000": 1, "\ud800": 2}',
        r'{"manifests": {"a": {"assertions": [{"label": "\ud800", "data": 1}]}}}',
        r'[{"location": "/\ud800", "tdm-reservation": "\ud800"}]',
        r'{"label": "cawg.training-mining", "data": {"entries": {"a\ud800": {}}}}',
        r'{"label": "cawg.training-mining", "data": {"entries": {"a": {"use": "\ud800"}}}}',
    ],
)
def test_a_refusal_quotes_nothing_that_cannot_be_written(text: str) -> None:
    assert "\ud800" not in str(refusal(text))


@pytest.mark.parametrize(
    "manifest",
    [
        {"assertions": [{"label": "cawg.training-mining"}]},
        {"assertions": [{"label": "c2pa.training-mining__1"}]},
        {"assertions": [{"label": "cawg.training-mining"}], "redactions": ["self#jumbf=x"]},
        {"assertions": [
            {"label": "cawg.training-mining"}, {"label": "cawg.training-mining", "data": ASSERTION},
        ]},
        {"assertions": [], "redactions": ["self#jumbf=c2pa.assertions/cawg.training-mining"]},
        {"claim": {"assertions": [{"url": "self#jumbf=c2pa.assertions/cawg.training-mining"}]}},
    ],
)  # fmt: skip
def test_an_assertion_that_is_only_named_is_not_taken_for_silence(manifest: Any) -> None:
    refused = refusal(json.dumps({"manifests": {"a": manifest}}))
    assert "it has no entries" in str(refused)
    assert "nothing to note" not in str(refused)


def test_a_report_that_breaks_off_is_refused_whole() -> None:
    """What is missing may be the denial: the part that is there is not read."""
    yes = {"entries": {"cawg.ai_training": {"use": "allowed"}}}
    report = printed({"a": {"label": "cawg.training-mining", "data": yes}, "b": ASSERTION})
    for end in (len(report) - 2, len(report) - 40):
        assert "The JSON in it cannot be read: line" in str(refusal(report[:end]))
    assert "cannot be read" in str(refusal(f"{printed(REPORT)}\n{report[:-2]}"))


def test_a_report_without_its_beginning_is_refused_whole() -> None:
    lines = printed(REPORT).splitlines()
    for missing in range(1, len(lines)):
        assert "its beginning is missing" in str(refusal("\n".join(lines[missing:]))), missing


def test_the_rest_of_a_report_before_a_whole_one_is_not_passed_over() -> None:
    rest = '"cawg.training-mining": {'
    assert "its beginning is missing" in str(refusal(f"{rest}\n{printed(RULES)}"))


def test_headers_with_something_like_json_are_read() -> None:
    text = 'HTTP/2 200\nnel: {"success_fraction": 0}\nset-cookie: a={"b\ntdm-reservation: 1\n'
    assert found(text) == RESERVED


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "This is a WAV file itself."),
        (b"fLaC\x00\x00\x00\x22", "This is a FLAC file itself."),
        (b"ID3\x04\x00", "This is an MP3 file itself."),
        (b"%PDF-1.7\n\xff", "This is a PDF itself."),
        (b"PK\x03\x04\x14", "This is a ZIP or Office file itself."),
        (b"\x00\x00\x00\x18ftypM4A ", "not text but a file of bytes"),
        (b"\xff\xfb\x90\x44", "This is not text"),
        (b"\xc3\x28", "This is not text"),
        (b"\xff\xfe\x00\xd8", "This is not text"),
    ],
)
def test_bytes_are_refused_by_what_they_are(content: bytes, words: str) -> None:
    assert words in str(refusal(content))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 50_000, "nested deeper"),
        ("[" * 300 + "]" * 300, "nested deeper"),
        (printed(RULES).replace("1", "1e999", 1), "neither 0 nor 1"),
        (printed(RULES).replace("1", "NaN", 1), "NaN is no number of JSON"),
        (printed(RULES).replace("1", "-Infinity", 1), "-Infinity is no number of JSON"),
        (printed(RULES).replace("1", "9" * 5_000, 1), "a number too long"),
        (printed(RULES).replace("1", "[" * 200 + "]" * 200, 1), "nested deeper"),
        ("{}\n" * 60, "more than 50 JSON values"),
        ("x" * (texts.MOST_BYTES + 1), "longer than 256 kB"),
    ],
    ids=[
        "open lists", "open objects", "deep", "infinite", "nan", "infinity", "digits",
        "deep value", "many", "long",
    ],
)  # fmt: skip
def test_hostile_text_ends_in_a_sentence(text: str, words: str) -> None:
    assert words in str(refusal(text))


@pytest.mark.parametrize(
    "piece",
    [
        "<!--", "<meta", "<a", "<meta \"", "<meta x='", "<meta a=b ", "[\n", "\x1b]", "\x1b[",
        "User-agent: x\n", "data mining", "data mining:\n", "{", "a:\n", "HTTP/1 ", "&#x", "\ud83d",
    ],
    ids=repr,
)  # fmt: skip
def test_no_text_keeps_the_reader_busy(piece: str) -> None:
    """Each took Python's parser of pages, or a pattern with two stars, a minute or longer."""
    content = (piece * (texts.MOST_BYTES // len(piece))).encode("utf-8", "replace")
    with pytest.raises(Refused):
        reading.read(content[: texts.MOST_BYTES])


def test_a_pattern_of_many_stars_is_matched_at_once() -> None:
    assert not reservations.fits("/" + "*a" * 400 + "*b$", "/" + "a" * 480)
    assert reservations.fits("/" + "*a" * 400 + "*$", "/" + "a" * 480)


@pytest.mark.parametrize(
    ("location", "path", "fits"),
    [
        ("/a*b", "/ab", True), ("/a*b", "/a", False), ("/a*b$", "/aXbXb", True),
        ("/a*a$", "/a", False), ("/*ab*b$", "/ab", False), ("/*ab*b$", "/abb", True),
        ("/a$", "/a", True), ("/a$", "/ab", False), ("/a", "/ab", True), ("**", "/x", True),
    ],
)  # fmt: skip
def test_stars_and_ends_of_patterns(location: str, path: str, fits: bool) -> None:
    assert reservations.fits(location, path) == fits
