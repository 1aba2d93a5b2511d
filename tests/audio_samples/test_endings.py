"""What was taken back from the public, and what a case retired, is so again after a restore."""

import pytest

from audio_samples import releases
from audio_samples.models import Sample
from experiments.models import Checkpoint, Dataset
from experiments.publishing import pages
from portal.endings import Outcome
from portal.models import User
from rights.grants import lifecycle
from rights.models import WithdrawalCase
from rights.withdrawal import cases
from tests.audio_samples.test_releases import World, world
from tests.restoring import after_the_back_up, outcomes

pytestmark = pytest.mark.django_db
__all__ = ["world"]


def test_a_clip_that_was_taken_back_is_taken_back_again(world: World, olga: User) -> None:
    release = world.release()
    with after_the_back_up():
        releases.recall(by=world.owner, release=release, reason="Not that one.")
    release.refresh_from_db()
    assert release.recalled_at is None
    assert outcomes(olga) == [Outcome.DONE]
    release.refresh_from_db()
    assert release.recalled_at is not None
    assert outcomes(olga) == []


def test_a_model_that_was_taken_from_the_public_is_taken_again(world: World, olga: User) -> None:
    with after_the_back_up():
        pages.withdraw(by=world.owner, page=world.page)
    assert outcomes(olga) == [Outcome.DONE]
    world.page.refresh_from_db()
    assert world.page.withdrawn_at is not None


def test_what_a_case_retired_is_retired_again(world: World, olga: User) -> None:
    lifecycle.withdraw(world.grants[0], world.admin, "No more.")
    training = world.parties[0].grants.exclude(pk__in=[grant.pk for grant in world.grants]).first()
    assert training is not None
    lifecycle.withdraw(training, world.admin, "No more.")
    case = WithdrawalCase.objects.filter(items__kind="dataset").first()
    assert case is not None
    with after_the_back_up():
        for kind in ("dataset", "checkpoint", "sample"):
            cases.remedy(case, kind, world.admin, "Done.")
    assert not Dataset.objects.filter(status=Dataset.Status.RETIRED).exists()
    assert set(outcomes(olga)) == {Outcome.DONE}
    assert Dataset.objects.filter(status=Dataset.Status.RETIRED).exists()
    assert Checkpoint.objects.exclude(retired_at=None).exists()
    assert Sample.objects.get().withheld_reason.startswith("Recalled: ")


def test_a_case_that_is_opened_anew_is_remedied_by_a_person(world: World, olga: User) -> None:
    training = world.parties[0].grants.exclude(pk__in=[grant.pk for grant in world.grants]).first()
    assert training is not None
    with after_the_back_up():
        lifecycle.withdraw(training, world.admin, "No more.")
        case = WithdrawalCase.objects.get()
        cases.remedy(case, "dataset", world.admin, "Done.")
    # The end of the permission, with a case of its own, and the remedy for a person.
    assert outcomes(olga) == [Outcome.DONE, Outcome.BY_HAND]
    assert not Dataset.objects.filter(status=Dataset.Status.RETIRED).exists()
