"""The binary batch: every bit survives, and nothing hostile gets through."""

import json
import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backline import batches, columns
from tests.examples import examples


def table(names: tuple[str, ...], steps: list[int], values: list[list[float]]) -> batches.Table:
    times = np.arange(len(steps), dtype=float) + 1.7e9
    return batches.Table(names, np.array(steps, np.int64), times, np.array(values, float))


def test_numbers_survive_bit_by_bit() -> None:
    values = [[0.1, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]]
    steps = [0, 1, -5, 2**63 - 1, -(2**63), 7, 7]
    sent = table(("loss",), steps, values)
    got = batches.decode(batches.encode([sent])).tables[0]
    assert got.names == ("loss",)
    assert got.steps.tolist() == steps
    assert got.times.tobytes() == sent.times.tobytes()
    assert got.values.tobytes() == sent.values.tobytes()


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.text("abcdef/_é", min_size=1, max_size=12), min_size=1, max_size=4, unique=True
            ),
            st.integers(1, 9),
        ),
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_any_tables_come_back(shapes: list[tuple[list[str], int]], random: object) -> None:
    tables = [
        batches.Table(
            tuple(names),
            np.arange(rows, dtype=np.int64) * 3,
            np.full(rows, 1.5),
            np.arange(len(names) * rows, dtype=float).reshape(len(names), rows),
        )
        for names, rows in shapes
    ]
    batch = batches.decode(batches.encode(tables))
    assert batch.points == sum(len(names) * rows for names, rows in shapes)
    for sent, got in zip(tables, batch.tables, strict=True):
        assert sent.names == got.names
        assert np.array_equal(sent.values, got.values)


@settings(max_examples=examples(150))
@given(st.binary(max_size=200))
def test_stray_bytes_are_malformed_and_nothing_else(stray: bytes) -> None:
    good = batches.encode([table(("loss",), [1, 2], [[0.5, 0.25]])])
    for data in (stray, good[:9] + stray, good[: len(good) - 1 - len(stray) % 20] + stray):
        if data == good:
            continue
        with pytest.raises(batches.Malformed):
            batches.decode(data)


def with_header(header: object, columns_of: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return batches.FRAME.join(text, zlib.compress(columns_of))


@pytest.mark.parametrize(
    "header",
    [
        {"tables": [{"names": ["a"], "rows": 4_000_000}]},
        {"tables": [{"names": ["a", "a"], "rows": 1}]},
        {"tables": [{"names": ["a" * 201], "rows": 1}]},
        {"tables": [{"names": ["new\nline"], "rows": 1}]},
        {"tables": [{"names": [""], "rows": 1}]},
        {"tables": [{"names": ["a"], "rows": -1}]},
        {"tables": [{"names": ["a"], "rows": True}]},
        {"tables": [{"names": ["a"], "rows": 1, "code": "x"}]},
        {"tables": "no"},
        [],
    ],
)
def test_headers_that_lie_are_refused(header: object) -> None:
    with pytest.raises(batches.Malformed):
        batches.decode(with_header(header))


def test_a_bomb_does_not_unfold() -> None:
    bomb = with_header({"tables": [{"names": ["a"], "rows": 1}]}, bytes(50_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(batches.Malformed, match="size"):
        batches.decode(bomb)


def test_another_version_is_named() -> None:
    good = bytearray(batches.encode([table(("loss",), [1], [[0.5]])]))
    good[4] = 9
    with pytest.raises(batches.Malformed, match="version 1, not 9"):
        batches.decode(bytes(good))


def test_regular_steps_cost_next_to_nothing() -> None:
    steps = np.arange(0, 1_000_000, 10, dtype=np.int64)
    assert len(columns.pack([steps])) < 5_000
