"""Formulas over metrics."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.charts import formulas

STEPS = np.arange(3.0)
VALUES = {
    "loss": np.array([4.0, 2.0, 1.0]),
    "val/loss": np.array([5.0, 3.0, 3.0]),
    "val loss": np.array([1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss", [4, 2, 1]),
        ("val/loss - loss", [1, 1, 2]),
        ("val/loss-loss", [1, 1, 2]),
        ("loss / 2", [2, 1, 0.5]),
        ("2 + 3 * loss", [14, 8, 5]),
        ("(2 + 3) * loss", [20, 10, 5]),
        ("-loss ** 2", [-16, -4, -1]),
        ("2 ** 3 ** 2 + loss * 0", [512, 512, 512]),
        ("loss - 1 - 1", [2, 0, -1]),
        ("8 / loss / 2", [1, 2, 4]),
        ("max(loss, 2)", [4, 2, 2]),
        ("min(loss, val/loss) * 1e1", [40, 20, 10]),
        ("log2(loss)", [2, 1, 0]),
        ('"val loss" + step + loss * 0', [1, 2, 3]),
        ("--loss", [4, 2, 1]),
    ],
)
def test_a_formula_says_what_it_says_in_mathematics(text: str, expected: list[float]) -> None:
    formula = formulas.parse(text)
    assert formula.evaluate(VALUES, STEPS).tolist() == pytest.approx(expected)


def test_what_has_no_value_is_not_finite_and_nothing_is_raised() -> None:
    found = formulas.parse("log(loss - 2) + 1 / (loss - 1)").evaluate(VALUES, STEPS)
    assert math.isfinite(found[0])
    assert not np.isfinite(found[1:]).any()


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("loss +", 6, "missing here"),
        ("loss + * 2", 7, "missing here"),
        ("loss $ 2", 5, "means nothing"),
        ('loss + "val', 7, "never closed"),
        ("loss val", 5, "follows without"),
        ("(loss", 5, "is missing here"),
        ("eval(loss)", 0, "no function eval"),
        ("min(loss)", 0, "takes 2 values"),
        ("1 + 2", 0, "names no metric"),
        ("", 0, "missing here"),
        ("step", 0, "names no metric"),
        ("(" * 60 + "loss" + ")" * 60, 41, "inside each other"),
        ("-" * 60 + "loss", 41, "inside each other"),
        ("loss" * 100, 300, "longer than"),
        ("__import__(os)", 0, "no function"),
        ("loss.__class__('os')", 15, "means nothing"),
    ],
)
def test_an_error_is_a_sentence_at_its_character(text: str, position: int, words: str) -> None:
    with pytest.raises(formulas.BadFormula, match=words) as caught:
        formulas.parse(text)
    assert caught.value.position == position
    assert f"(character {position + 1})" in str(caught.value)


def test_extremes_follow_from_a_single_metric_only() -> None:
    assert formulas.parse("exp(loss) * 2").is_of_one
    assert not formulas.parse("loss - val/loss").is_of_one
    assert not formulas.parse("loss * loss").is_of_one
    assert formulas.parse("loss - val/loss + loss").names == ("loss", "val/loss")


NUMBERS = st.integers(-9, 9).map(str)
FORMULAS = st.recursive(
    NUMBERS | st.just("loss"),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
    max_leaves=12,
)


@given(FORMULAS)
def test_any_formula_has_the_value_that_python_computes(text: str) -> None:
    found = formulas.parse(f"{text} + 0 * loss").evaluate({"loss": np.array([3.0])}, np.zeros(1))
    assert found[0] == eval(text, {"loss": 3.0})  # noqa: S307 - our own text of digits.


@given(st.text(max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    positions = [0]
    try:
        formulas.parse(text)
    except formulas.BadFormula as error:
        positions.append(error.position)
    assert 0 <= positions[-1] <= len(text)
