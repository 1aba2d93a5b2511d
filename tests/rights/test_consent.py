"""Consent is a conjunction, denied by default."""

import pytest

from portal.models import User
from rights import consent
from rights.models import Purpose, Use
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db

HERE = consent.Context(purpose=Purpose.RESEARCH, territory="world", model_family="backline")


def test_a_recording_covered_in_full_is_allowed(rosa: User) -> None:
    recordings = make_allowed(rosa)
    decision = consent.check(recordings, Use.TRAIN_GENERATIVE, HERE, by=rosa)
    assert decision.allowed
    assert [line.reasons for line in decision.lines.all()] == [[], []]
