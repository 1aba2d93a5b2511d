"""What can be kept at all: refused by a sentence where it comes in."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backline import bounds, configs, wire


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a\0": 1}, "NUL"), ({"a": "\0"}, "NUL"), ({"\ud800": 1}, "half a character"),
        ({"a": ["\udfff"]}, "half a character"), ({"a": float("nan")}, "not a finite number"),
        ({"a": float("-inf")}, "not a finite number"), ({"a": 10**400}, "too large"),
        ({"a": 2**64}, "too large"), ({1: 2}, "no text"), ({"a": {1, 2}}, "does not know"),
        ({"a": deep(bounds.MAX_JSON_DEPTH)}, "nested deeper"), (deep(100_000), "nested deeper"),
        ({"a": "x" * bounds.MAX_JSON_BYTES}, "too long"), ([1] * 1_000_000, "too long"),
    ],
)  # fmt: skip
def test_json_that_a_database_cannot_keep_is_refused_in_words(value: Any, words: str) -> None:
    with pytest.raises(bounds.NotStorable, match=words):
        bounds.check_json(value)


@pytest.mark.parametrize("value", [{}, {"a": [1, 1.5, None, True, "é\n"]}, {"seed": 2**64 - 1}])
def test_json_that_can_be_kept_stays_as_it_is(value: Any) -> None:
    assert bounds.check_json(value) is value


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_is_mended_can_always_be_kept(value: Any) -> None:
    mended = configs.as_json(configs.plain({"a": value}, say=lambda _: None))
    bounds.check_json(mended)
    assert json.loads(json.dumps(mended, allow_nan=False)) == mended


class Loose(wire.Message):
    """Fields that say nothing of their bounds."""

    text: str = ""
    number: int = 0
    share: float = 0.0
    at: datetime | None = None
    more: dict[str, Any] = {}
    several: list[Any] = []


@pytest.mark.parametrize(
    "said",
    [
        {"text": "a\0"}, {"number": 2**64}, {"number": -(2**63) - 1}, {"share": float("nan")},
        {"share": float("inf")}, {"more": {"a": float("nan")}}, {"several": ["a", "\0"]},
        {"several": [[float("inf")]]}, {"at": datetime(1, 1, 1, tzinfo=UTC)},
        {"at": "9999-12-31T23:59:59-14:00"},
    ],
)  # fmt: skip
def test_a_message_is_bounded_whatever_its_fields_forget(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Loose(**said)


@pytest.mark.parametrize("kind", [wire.CheckpointMeta, wire.SampleMeta, wire.UsageReport])
def test_a_step_that_no_column_holds_is_no_step(kind: type[wire.Message]) -> None:
    right = {"sha256": "0" * 64, "name": "a", "lines": []}
    assert kind(step=2**63 - 1, **right)
    with pytest.raises(ValidationError):
        kind(step=2**63, **right)


def test_what_a_program_prints_is_marked_and_never_refused() -> None:
    said = wire.LogPiece(session="a", stream="stdout", offset=0, text="a\0\ud800b")
    assert said.text == f"a{bounds.LOST}{bounds.LOST}b"
