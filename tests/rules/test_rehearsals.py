"""What is done to be shown is taken back by one door, so that nothing of it is kept beside the
database: the journal of endings would say after a restore what nobody has said."""

from pathlib import Path

import pytest

from portal.database.rehearsal import rehearsed, remembering
from portal.endings import places
from portal.models import User
from rights.grants import lifecycle
from rights.models import Use
from rights.withdrawal import losses
from tests.catalogue import allow, make_party, make_recording

ROOT = Path(__file__).parents[2]
ROOMS = ("portal", "rights", "experiments", "audio_samples", "listening", "workers")


def test_a_transaction_is_taken_back_by_the_rehearsal_alone() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if "set_rollback" in path.read_text()
    ]
    assert found == ["portal/database/rehearsal.py"]


@pytest.mark.django_db
def test_a_rehearsed_withdrawal_leaves_no_line_in_the_journal(rosa: User) -> None:
    grant = allow(rosa, make_party(rosa), Use.EVAL)[0]
    with rehearsed():
        lifecycle.withdraw(grant, rosa, "Only to look.")
    assert places.current().names() == []
    grant.refresh_from_db()
    lifecycle.withdraw(grant, rosa, "In earnest.")
    assert len(places.current().names()) == 1


@pytest.mark.django_db
def test_a_loss_is_worked_out_once_for_a_page_and_anew_once_something_was_recorded(
    rosa: User,
) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    kept, ended = allow(rosa, party, Use.EVAL), allow(rosa, party, Use.EVAL)
    assert losses.of_grants(kept[:1]) is not losses.of_grants(kept[:1])
    with remembering():
        covered = losses.of_grants(kept[:1])
        assert not covered.recordings
        assert losses.of_grants(kept[:1]) is covered
        assert losses.of_grants(kept[:1], ending=ended).recordings == [recording.pk]
        with rehearsed():
            for grant in ended:
                lifecycle.withdraw(grant, rosa, "It covers for the other no more.")
            assert losses.of_grants(kept[:1]).recordings == [recording.pk]
        assert losses.of_grants(kept[:1]) is covered
