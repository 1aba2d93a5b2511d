"""Every reason for a refusal has its sentences, for one recording and for a model."""

import re
import string
from pathlib import Path

import pytest

from rights.consent import consent, evaluator, reasons
from rights.consent.reasons import WORDINGS, Missing, Names
from rights.models import RightType, Use

NAMES = {"holder", "party", "right", "title", "use"}
DETAILS = {
    "day": "2026-05-01", "purpose": "research", "place": "Japan", "family": "umbra",
    "version": "2", "product": "and none is named",
}  # fmt: skip
# Where codes are written: the literals of these modules.
JUDGES = [Path(evaluator.__file__), Path(consent.__file__), Path(reasons.__file__)]


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_each_code_that_is_given_has_its_sentences() -> None:
    given = {code for code, _ in evaluator.TESTS} | {evaluator.NO_GRANT.code, "opted_out", "signal"}
    for path in JUDGES:
        given |= set(re.findall(r'(?:lacks\.add|Missing)\(\s*"(\w+)"', path.read_text()))
    assert len(given) > 20
    assert given == set(WORDINGS)


@pytest.mark.parametrize("code", WORDINGS)
def test_a_sentence_asks_for_nothing_that_it_is_not_given(code: str) -> None:
    wording = WORDINGS[code]
    assert fields(wording.exact) <= NAMES | set(DETAILS)
    # A model knows no day: it is made of many recordings.
    assert fields(wording.general or wording.exact) <= NAMES | set(DETAILS) - {"day"}
    assert wording.brief
    assert not fields(wording.brief)
    assert wording.exact.endswith(".")


@pytest.mark.parametrize("code", WORDINGS)
def test_names_with_braces_are_written_as_they_are(code: str) -> None:
    lack = Missing(code, RightType.MASTER, party=1, details={**DETAILS, "family": "{family}"})
    (reason,) = reasons.reasons_for([lack], "{title}", Use.EVAL, Names(parties={1: "{party}"}))
    wanted = WORDINGS[code].exact
    assert ("{title}" in reason["sentence"]) == bool(fields(wanted) & {"title", "right", "holder"})
    assert ("{party}" in reason["sentence"]) == bool(fields(wanted) & {"party", "holder"})
    assert reason["code"] == code
