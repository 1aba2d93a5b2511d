"""A no is read as a no, however it is spelled; what cannot be read is refused in words."""

import json
from typing import Any

import pytest

from rights.errors import Refused
from rights.models import Use
from rights.tdm import reservations

NO = {"use": "notAllowed"}
GENERATIVE = {Use.TRAIN_GENERATIVE, Use.FINETUNE}
ASSERTION = {"entries": {"c2pa.ai_generative_training": NO}}


def denied(value: Any) -> set[Use]:
    said = reservations.read_assertion(json.dumps(value).encode())
    return {use for one in said for use in one.denied}


def reserved(rules: Any, path: str = "") -> bool:
    (said,) = reservations.read_tdmrep(json.dumps(rules).encode(), path=path)
    return bool(said.denied)


# --- Assertions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "uses"),
    [
        ("c2pa.data_mining", set(reservations.RESERVED)),
        ("c2pa.ai_inference", {Use.EVAL, Use.CONDITION}),
        ("c2pa.ai_training", {Use.TRAIN_ANALYSIS}),
        ("c2pa.ai_generative_training", GENERATIVE),
        ("cawg.ai_generative_training", GENERATIVE),
        ("cawg.aiGenerativeTraining", GENERATIVE),
        (" CAWG.AI_Generative-Training ", GENERATIVE),
        ("ai_generative_training", GENERATIVE),
        ("com.example.ai_generative_training", GENERATIVE),
        ("backline.stems", {Use.STEMS}),
        ("com.example.dubbing", set(Use)),
        ("cawg.ai_dreaming", set(Use)),
    ],
)
def test_a_no_by_any_key_denies_what_it_could_mean(key: str, uses: set[Use]) -> None:
    assert denied({"entries": {key: NO}}) == uses


@pytest.mark.parametrize(
    "entry",
    [
        {"use": "notAllowed"}, {"use": "NotAllowed"}, {"use": "not_allowed"},
        {"use": " not allowed "},
        {"use": "NOT-ALLOWED"}, {"use": "disallowed"}, {"use": "prohibited"}, {"use": False},
        {"use": "no"}, {"Use": "notAllowed"}, {" use ": "notAllowed"}, {"use": ["notAllowed"]},
        {"use": ["allowed", "notAllowed"]}, {"use": "constrained"},
        {"use": "Constrained", "constraint_info": "ask"}, "notAllowed", "not allowed", False,
    ],
    ids=str,
)  # fmt: skip
def test_a_no_in_any_spelling_denies(entry: Any) -> None:
    assert denied({"entries": {"cawg.ai_generative_training": entry}}) == GENERATIVE


@pytest.mark.parametrize(
    "value",
    [
        ASSERTION,
        {"label": "c2pa.training-mining", "data": ASSERTION},
        {"label": "c2pa.training-mining__1", "data": ASSERTION},
        {"label": "cawg.training-mining.v2", "data": {"data": ASSERTION}},
        {"c2pa.training-mining": ASSERTION},
        {"data": ASSERTION, "label": "C2PA.Training_Mining"},
        [{"label": "c2pa.actions", "data": {"actions": []}},
         {"label": "c2pa.training-mining", "data": ASSERTION}],
        {"entries": [{"key": "c2pa.ai_generative_training", "use": "notAllowed"}]},
        {"entries": [{"c2pa.ai_generative_training": NO}]},
        {"Entries": {"c2pa.ai_generative_training": NO}},
        {"active_manifest": "a", "manifests": {"a": {"assertions": [
            {"label": "c2pa.training-mining", "data": ASSERTION}]}}},
        {"active_manifest": "a", "manifests": {"a": {"assertion_store": {
            "c2pa.training-mining": ASSERTION}}}},
    ],
    ids=str,
)  # fmt: skip
def test_an_assertion_is_found_wherever_it_stands(value: Any) -> None:
    assert denied(value) == GENERATIVE


def test_of_several_manifests_each_no_is_heard() -> None:
    yes = {"entries": {"c2pa.ai_generative_training": {"use": "allowed"}}}
    store = {
        "active_manifest": "new",
        "manifests": {
            name: {"assertions": [{"label": "c2pa.training-mining", "data": data}]}
            for name, data in (("new", yes), ("old", ASSERTION))
        },
    }
    assert denied(store) == GENERATIVE
    (said,) = reservations.read_assertion(json.dumps(store).encode())
    assert said.value == "notAllowed"


def test_what_was_meant_by_constrained_is_kept_in_both_spellings() -> None:
    for name in ("constraint_info", "constraints_info"):
        entry = {"use": "constrained", name: "only on\nSundays"}
        value = {"entries": {"cawg.ai_training": entry}}
        (said,) = reservations.read_assertion(json.dumps(value).encode())
        assert (said.info, said.denied) == ("only on Sundays", (Use.TRAIN_ANALYSIS,))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"entries": {"cawg.ai_training": {"use": "perhaps"}}}', "'perhaps', which is neither"),
        ('{"entries": {"cawg.ai_training": {"use": null}}}', "neither allowed, notAllowed nor"),
        ('{"entries": {"cawg.ai_training": {}}}', "has no use"),
        ('{"entries": {"cawg.ai_training": {"use": []}}}', "has no use"),
        ('{"entries": {}}', "empty"),
        ('{"entries": 7}', "neither a map nor a list"),
        ('{"manifests": {"a": {"assertions": []}}}', "no training-mining assertion"),
        ('{"entries": {"a": {"use": "notAllowed"}, "a": {"use": "allowed"}}}', "stands twice"),
        ('{"entries": {"a\\u0007": {"use": "notAllowed"}}}', "is none"),
    ],
)
def test_what_cannot_be_read_is_refused_and_never_taken_for_a_yes(content: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        reservations.read_assertion(content.encode())


def test_a_file_of_windows_is_read() -> None:
    text = json.dumps(ASSERTION)
    for content in (text.encode("utf-16"), text.encode("utf-8-sig")):
        assert reservations.read_assertion(content)[0].denied


# --- Sites --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("https://music.example/albums/*", "/albums/one"),
        ("https://music.example/albums/*", "https://music.example/albums/one"),
        ("/albums/*", "https://music.example/albums/one"),
        ("https://MUSIC.example:443/albums/", "http://music.example/albums/one"),
        ("//music.example/albums/", "/albums/one"),
        ("albums/", "/albums/one"),
        ("./albums/", "albums/one"),
        ("/albums/*/two$", "/albums/one/two"),
        ("/*.flac$", "/albums/one/two.flac"),
        ("*", "/albums/one"),
        ("/", "/albums/one"),
        ("https://music.example", "/albums/one"),
        ("/albums/%C3%A9t%C3%A9/", "/albums/été/one"),
        ("/listen?track=*", "https://music.example/listen?track=7#now"),
    ],
)
def test_a_rule_fits_by_whole_addresses_paths_and_patterns(location: str, path: str) -> None:
    assert reserved([{"location": location, "tdm-reservation": 1}], path)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/albums/", "/live/one"),
        ("/*.flac$", "/one.flac/more"),
        ("https://other.example/albums/", "https://music.example/albums/one"),
        ("https://music.example:8000/albums/", "https://music.example/albums/one"),
    ],
)
def test_where_no_rule_fits_it_says_so_and_names_the_patterns(location: str, path: str) -> None:
    content = json.dumps([{"location": location, "tdm-reservation": 1}]).encode()
    with pytest.raises(Refused, match="nothing is noted") as refused:
        reservations.read_tdmrep(content, path=path)
    assert location in str(refused.value)


@pytest.mark.parametrize("value", [1, "1", " 1 ", True, "true", 1.0, '"1"'], ids=repr)
def test_a_reservation_in_any_spelling_reserves(value: Any) -> None:
    assert reserved([{"location": "/", "tdm-reservation": value}])
    assert reserved([{"Location": "/", "TDM_Reservation": value}], "/one")
    assert reserved({"location": "/", "tdm-reservation": value})


@pytest.mark.parametrize("value", [2, "yes", None, "", [1]], ids=repr)
def test_a_reservation_that_is_neither_is_refused(value: Any) -> None:
    with pytest.raises(Refused, match="neither 0 nor 1"):
        reserved([{"location": "/", "tdm-reservation": value}])


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nTDM-Reservation: 1\r\nTDM-Policy: https://x.example/p\r\n",
        b"tdm-reservation:1\ntdm-policy: https://x.example/p",
        (
            b'<html><head><meta name="tdm-reservation" content="1">'
            b'<META NAME="TDM-Policy" CONTENT="https://x.example/p"/></head>'
        ),
    ],
)
def test_the_headers_and_the_source_of_a_page_are_read(content: bytes) -> None:
    (said,) = reservations.read_tdmrep(content, path="/albums/one")
    assert (said.value, said.info) == ("1", "https://x.example/p")


def test_a_page_that_says_both_reserves() -> None:
    page = b'<meta name="tdm-reservation" content="0"><meta name="tdm-reservation" content="1">'
    (said,) = reservations.read_tdmrep(page)
    assert said.denied


@pytest.mark.parametrize("content", [b"[]", b"<html></html>", b"User-agent: *\nDisallow: /\n"])
def test_a_file_without_a_rule_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        reservations.read_tdmrep(content)
