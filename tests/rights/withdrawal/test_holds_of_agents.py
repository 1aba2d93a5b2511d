"""What rests on somebody else's signature, or on a permission that pauses, is held as well."""

from datetime import timedelta

import pytest
from django.utils import timezone

from portal.models import User
from rights.catalogue import catalogue
from rights.grants import lifecycle
from rights.models import Grant, Hold, Mandate, Party, Recording, RightType, Use
from rights.parties import parties, splits
from tests.catalogue import allow, make_party, make_recording, second_admin

pytestmark = pytest.mark.django_db

GENERATIVE = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa)


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party)


@pytest.fixture
def mandate(rosa: User, party: Party) -> Mandate:
    """The agent signs for the composition until today."""
    row = parties.enter_mandate(
        by=rosa,
        holder=party,
        agent=make_party(rosa, "Agent"),
        right_types=["composition"],
        ends_on=timezone.now().date(),
    )
    return parties.approve_mandate(row, second_admin())


def held(use: Use = GENERATIVE) -> set[int]:
    return set(Hold.objects.filter(use=use).values_list("recording_id", flat=True))


def test_a_dispute_holds_what_an_agents_grant_permitted(
    rosa: User, party: Party, song: Recording, mandate: Mandate
) -> None:
    allow(rosa, party, GENERATIVE, rights=(RightType.MASTER,))
    allow(rosa, mandate.agent, GENERATIVE, rights=(RightType.COMPOSITION,))
    sheet = song.works.get().splits.get()
    splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong.")
    assert held() == {song.pk}


def test_a_new_work_holds_what_an_agents_grant_permitted(
    rosa: User, party: Party, song: Recording
) -> None:
    row = parties.enter_mandate(
        by=rosa, holder=party, agent=make_party(rosa, "Label"), right_types=["master"]
    )
    parties.approve_mandate(row, second_admin())
    allow(rosa, party, GENERATIVE, rights=(RightType.COMPOSITION,))
    allow(rosa, row.agent, GENERATIVE, rights=(RightType.MASTER,))
    work = catalogue.add_work(by=rosa, title="Quoted")
    catalogue.attach_work(by=rosa, recording=song, work=work)
    assert held() == {song.pk}


def test_what_a_suspended_grant_permitted_is_held_by_a_dispute(
    rosa: User, party: Party, song: Recording
) -> None:
    """What runs goes on while it is suspended, and so it has to be stopped."""
    for grant in allow(rosa, party, GENERATIVE):
        lifecycle.suspend(grant, rosa, "A question.")
    splits.dispute(sheet=song.splits.get(), party=party, by=rosa, reason="Wrong.")
    assert held() == {song.pk}


def test_a_main_artist_credited_while_a_grant_is_suspended_holds(
    rosa: User, party: Party, song: Recording
) -> None:
    for grant in allow(rosa, party, Use.VOICE, rights=tuple(RightType)):
        lifecycle.suspend(grant, rosa, "A question.")
    catalogue.add_credit(by=rosa, subject=song, party=make_party(rosa), role="MainArtist")
    assert held(Use.VOICE) == {song.pk}


def test_a_mandate_that_ends_while_the_agents_grant_is_suspended_holds(
    rosa: User, song: Recording, mandate: Mandate
) -> None:
    (grant,) = allow(rosa, mandate.agent, GENERATIVE, rights=(RightType.COMPOSITION,))
    lifecycle.suspend(grant, rosa, "A question.")
    parties.end_mandate(mandate, rosa, "Over.")
    assert held() == {song.pk}


def test_a_mandate_and_the_agents_grant_that_end_on_one_day_hold(
    rosa: User, song: Recording, mandate: Mandate
) -> None:
    allow(rosa, mandate.agent, GENERATIVE, rights=(RightType.COMPOSITION,))
    # A day later, which comes by the calendar and not by a verb.
    yesterday = timezone.now().date() - timedelta(days=1)
    for rows in (Grant.objects.filter(grantor=mandate.agent), Mandate.objects.all()):
        rows.update(starts_on=yesterday, ends_on=yesterday)
    assert lifecycle.expire_due() == 2
    assert held() == {song.pk}
