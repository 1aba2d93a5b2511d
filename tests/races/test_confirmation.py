"""An act that was shown, and something else at the same moment, on PostgreSQL: the act did what was
shown, or nothing at all. And several looks at once keep nothing."""

from functools import partial

import pytest

from portal import audit, confirmation
from portal.confirmation import PreviewChanged
from portal.models import User
from rights import acts
from rights.catalogue import originals
from rights.errors import Refused
from rights.models import Grant, Hold, OptOut, RightType, Use
from tests.catalogue import allow, make_party, make_recording
from tests.races.together import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 5
TRAIN = Use.TRAIN_GENERATIVE


def test_a_grant_that_comes_at_the_same_moment_is_ended_as_shown_or_not_at_all(rosa: User) -> None:
    for _ in range(ROUNDS):
        party = make_party(rosa)
        song = make_recording(rosa, party)
        (first,) = allow(rosa, party, TRAIN, rights=(RightType.MASTER,))
        act = acts.opting_out(song, TRAIN, [party], by=rosa)
        seal = confirmation.rehearse(act).seal
        more = partial(allow, rosa, party, TRAIN, recording=song, rights=(RightType.MASTER,))
        done, made = together(
            partial(confirmation.perform, act, seal), more, refusals=(PreviewChanged, Refused)
        )
        assert isinstance(made, list)
        second: Grant = made[0]
        second.refresh_from_db()
        if isinstance(done, PreviewChanged):
            assert not OptOut.objects.filter(recording=song).exists()
            assert not Hold.objects.filter(recording=song).exists()
            assert second.status == Grant.Status.ACTIVE
        else:
            # It came later: it is a new yes, which the no that was shown did not speak of.
            assert second.activated_at is not None
            assert second.activated_at > OptOut.objects.get(recording=song).at
            assert second.status == Grant.Status.ACTIVE
        first.refresh_from_db()
        assert first.status == Grant.Status.ACTIVE
    assert list(audit.broken_lines()) == []


def test_of_two_confirmations_of_one_look_one_counts(rosa: User) -> None:
    for _ in range(ROUNDS):
        party = make_party(rosa)
        make_recording(rosa, party)
        (grant,) = allow(rosa, party, TRAIN, rights=(RightType.MASTER,))
        act = acts.withdrawing(grant, by=rosa)
        seal = confirmation.rehearse(act).seal
        confirm = partial(confirmation.perform, act, seal)
        done = together(confirm, confirm, refusals=(PreviewChanged, Refused))
        assert sum(isinstance(one, Grant) for one in done) == 1
        assert audit.history(grant).filter(verb="grant.withdrawn").count() == 1
    assert list(audit.broken_lines()) == []


def test_looks_at_once_keep_nothing_and_break_no_log(rosa: User) -> None:
    party = make_party(rosa)
    song = make_recording(rosa, party)
    (grant,) = allow(rosa, party, TRAIN, rights=(RightType.MASTER,))
    withdraw = partial(confirmation.rehearse, acts.withdrawing(grant, by=rosa))
    split = partial(
        confirmation.rehearse, acts.proposing(song, {make_party(rosa): 1_000_000}, by=rosa)
    )
    for _ in range(ROUNDS):
        before = audit.newest_hash()
        together(withdraw, split, withdraw, split, refusals=())
        assert audit.newest_hash() == before
    grant.refresh_from_db()
    assert grant.status == Grant.Status.ACTIVE
    assert list(audit.broken_lines()) == []


def test_parts_that_are_fetched_at_once_are_one_line(rosa: User) -> None:
    for _ in range(ROUNDS):
        song = make_recording(rosa, make_party(rosa))
        fetch = partial(originals.record_fetch, song, by=rosa, how="page")
        together(fetch, fetch, fetch, refusals=())
        assert audit.history(song).filter(verb=originals.VERB).count() == 1
