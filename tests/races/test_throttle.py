"""Many guesses at the same moment: no more are checked than one after the other would be."""

import pytest
from django.test import RequestFactory

from portal.accounts import throttle
from portal.models import User
from tests.races.together import together

pytestmark = pytest.mark.django_db(transaction=True)

GUESSES = 12


def test_guesses_at_once_pass_no_more_often_than_one_by_one(ada: User) -> None:
    def guess() -> throttle.Try:
        return throttle.log_in(RequestFactory().post("/", REMOTE_ADDR="192.0.2.7"), "ada")

    found = together(*[guess] * GUESSES, refusals=(throttle.Wait,), spread=0.0)
    passed = [one for one in found if isinstance(one, throttle.Try)]
    assert len(passed) <= throttle.PER_ADDRESS.tries
