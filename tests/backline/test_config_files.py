"""A config as YAML: what stands in it once is read, and nothing twice."""

import pytest

from backline import config_files, wire

SAME = {"project": "p", "recipe": "r"}


def test_names_are_merged_and_set_anew() -> None:
    text = "base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  b: 3\n"
    assert config_files.load(text)["own"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "“a” stands twice, again at line 3: keep one."),
        ("- a: {b: 1, b: 1}", "“b” stands twice, again at line 1: keep one."),
        ("a: " + "[" * 5_000, "too many levels"),
        ("a: !!timestamp noon", "one of its values cannot be read"),
        ("a: !!int ''", "one of its values cannot be read"),
        ("? [a]\n: 1", "not YAML"),
        ("a: [", "not YAML at line 1"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(text: str, words: str) -> None:
    with pytest.raises(config_files.BadYaml, match=words):
        config_files.load(text)


@pytest.mark.parametrize("field", ["dataset", "start_from"])
def test_true_is_no_number_of_a_submission(field: str) -> None:
    assert getattr(wire.Submission.model_validate(SAME | {field: 1}), field) == 1
    with pytest.raises(ValueError, match="valid integer"):
        wire.Submission.model_validate(SAME | {field: True})
