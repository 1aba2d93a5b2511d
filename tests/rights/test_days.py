"""A day of a term is a day of UTC, on every road by which a moment comes in."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from django.test import Client
from django.urls import reverse

from portal.models import User
from rights import days
from rights.consent import consent
from rights.grants import lifecycle
from rights.models import Grant, Purpose, Recording, Use
from tests.catalogue import allow, make_party, make_recording

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")
EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
LAST = date(2026, 6, 30)
# The same moment each time, an hour before and after the day ends in UTC; written in places where
# it is another day.
BEFORE = datetime(2026, 6, 30, 23, tzinfo=UTC)
AFTER = datetime(2026, 7, 1, 1, tzinfo=UTC)
ZONES = [UTC, EAST, WEST]


@pytest.fixture
def song(rosa: User) -> Recording:
    """Allowed up to the end of June."""
    party = make_party(rosa)
    made = make_recording(rosa, party)
    allow(rosa, party, Use.EVAL)
    # As if all had been said in January, before anybody asks.
    then = datetime(2026, 1, 1, tzinfo=UTC)
    Grant.objects.update(activated_at=then, created_at=then, starts_on=then.date(), ends_on=LAST)
    return made


@pytest.mark.parametrize("zone", ZONES)
def test_a_moment_is_held_against_the_day_of_utc(zone: timezone) -> None:
    assert days.day_of(BEFORE.astimezone(zone)) == LAST
    assert days.day_of(AFTER.astimezone(zone)) == date(2026, 7, 1)


def test_a_moment_without_an_offset_is_utc() -> None:
    assert days.utc(datetime(2026, 6, 30, 23)) == BEFORE  # noqa: DTZ001
    assert days.day_of(datetime(2026, 6, 30, 23)) == LAST  # noqa: DTZ001


def test_a_moment_at_the_edge_of_the_calendar_is_its_first_or_last() -> None:
    assert days.utc(datetime(1, 1, 1, tzinfo=EAST)).year == 1
    assert days.utc(datetime(9999, 12, 31, 23, tzinfo=WEST)).year == 9999


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ZONES)
def test_consent_answers_a_moment_alike_in_every_offset(song: Recording, zone: timezone) -> None:
    for moment, allowed in ((BEFORE, True), (AFTER, False)):
        at = moment.astimezone(zone)
        verdict = consent.evaluate([song], Use.EVAL, HERE, at=at)
        assert verdict.allowed is allowed
        # The facts are the same ones, so their digest is.
        plain = consent.evaluate([song], Use.EVAL, HERE, at=moment, known_at=verdict.known_at)
        assert verdict.input_digest == plain.input_digest


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ZONES)
def test_a_filter_of_rows_has_the_same_day(song: Recording, zone: timezone) -> None:
    assert Grant.objects.in_force(BEFORE.astimezone(zone)).count() == 2
    assert not Grant.objects.in_force(AFTER.astimezone(zone)).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ZONES)
def test_a_term_is_over_when_its_last_day_is_over_in_utc(song: Recording, zone: timezone) -> None:
    assert lifecycle.expire_due(BEFORE.astimezone(zone)) == 0
    assert lifecycle.expire_due(AFTER.astimezone(zone)) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ZONES)
def test_the_api_and_the_page_answer_as_consent_does(
    client: Client, ada: User, song: Recording, zone: timezone
) -> None:
    client.force_login(ada)
    for moment, allowed in ((BEFORE, True), (AFTER, False)):
        at = moment.astimezone(zone).isoformat()
        asked = {"use": "eval", "at": at}
        answer = client.get(f"/api/v1/rights/recordings/{song.pk}/why", asked).json()
        assert answer["allowed"] is allowed
        page = client.get(reverse("rights:why", args=[song.pk]), asked)
        assert page.context["line"].allowed is allowed
