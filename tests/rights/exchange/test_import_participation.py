"""Participation in bulk: a list of ISRC, use and yes or no drafts grants and opts out."""

from datetime import date

import pytest

from portal.models import User
from rights import territories
from rights.consent import consent
from rights.errors import Refused
from rights.exchange.importing import jobs
from rights.grants import agreements, lifecycle
from rights.models import Agreement, Grant, ImportJob, Party, Purpose, Recording, RightType, Use
from rights.parties import splits
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.rights.exchange.importing import counts, told, uploaded, work_off

pytestmark = pytest.mark.django_db
SCOPE = consent.Context(Purpose.RESEARCH, territories.WORLD, "")


def signed(by: User, party: Party) -> Agreement:
    return agreements.sign(
        by=by, counterparty=party, title="Participation", signed_on=date(2026, 1, 1)
    )


def done(by: User, text: str, party: Party, agreement: Agreement | None = None) -> ImportJob:
    job = looked(by, text, party, agreement)
    jobs.start(job, by=by)
    work_off()
    job.refresh_from_db()
    return job


def looked(by: User, text: str, party: Party, agreement: Agreement | None = None) -> ImportJob:
    job = uploaded(
        by, text.encode(), "list.txt", format="participation", party=party, agreement=agreement
    )
    jobs.check(job, by=by)
    work_off()
    job.refresh_from_db()
    return job


def allowed(recording: Recording, use: Use) -> bool:
    return consent.evaluate([recording], use, SCOPE)[recording.pk].allowed


def test_a_yes_drafts_for_each_right_and_somebody_else_puts_it_in_force(rosa: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    agreement = signed(rosa, party)
    job = done(rosa, f"{recording.isrc} train.generative yes\n", party, agreement)
    assert (job.state, job.added) == (ImportJob.State.FINISHED, 1), told(job)
    grants = list(Grant.objects.filter(use="train.generative"))
    assert {grant.status for grant in grants} == {"offered"}
    assert {grant.right_type for grant in grants} == {"master", "composition"}
    assert not allowed(recording, Use.TRAIN_GENERATIVE)
    with pytest.raises(Refused):
        lifecycle.activate(grants[0], rosa)
    before = counts()
    again = looked(rosa, f"{recording.isrc} train.generative yes\n", party, agreement)
    assert (again.added, again.unchanged) == (0, 1)
    assert counts() == before
    for grant in grants:
        lifecycle.activate(grant, second_admin())
    assert allowed(recording, Use.TRAIN_GENERATIVE)


def test_a_no_opts_out_of_the_catalogues_grant(rosa: User) -> None:
    party = make_party(rosa)
    out, stays = make_recording(rosa, party), make_recording(rosa, party)
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    text = f"ISRC;use;answer\n{out.isrc};Training of generative models;no\n"
    assert looked(rosa, text, party).changed == 1
    assert allowed(out, Use.TRAIN_GENERATIVE)
    job = done(rosa, text, party)
    assert job.changed == 1, told(job)
    assert not allowed(out, Use.TRAIN_GENERATIVE)
    assert allowed(stays, Use.TRAIN_GENERATIVE)
    before = counts()
    assert looked(rosa, text, party).unchanged == 1
    assert counts() == before


def test_a_no_ends_a_grant_for_a_share_that_is_not_told_yet(rosa: User) -> None:
    """As it does for one recording by hand; or it would permit as soon as the share is told."""
    party = make_party(rosa)
    song = make_recording(rosa, make_party(rosa))
    sheet = splits.propose(by=rosa, subject=song.works.get(), lines={party: 1_000_000})
    splits.confirm(sheet=sheet, party=party, by=rosa)
    lifecycle.opt_out(song, Use.EVAL, party, rosa, "No.")
    (master,) = allow(rosa, party, Use.EVAL, recording=song, rights=(RightType.MASTER,))
    assert done(rosa, f"{song.isrc} eval no", party).changed == 1
    master.refresh_from_db()
    assert master.status == Grant.Status.WITHDRAWN
    assert done(rosa, f"{song.isrc} eval no", party).unchanged == 1


def test_the_dry_run_says_what_is_unknown_or_somebody_elses(rosa: User) -> None:
    party = make_party(rosa)
    mine, theirs = make_recording(rosa, party), make_recording(rosa, make_party(rosa))
    lines = [
        f"{mine.isrc},eval,yes",
        "QZABC9999999,eval,yes",
        f"{theirs.isrc},eval,yes",
        f"{mine.isrc},dancing,yes",
        f"{mine.isrc},train.analysis,perhaps",
        f"{mine.isrc},eval,no",
        "not an isrc,eval,no",
    ]
    job = looked(rosa, "\n".join(lines), party, signed(rosa, party))
    assert (job.added, job.refused) == (1, 6)
    sentences = {row: sentence for row, _, sentence in told(job)}
    assert "No recording here has the ISRC" in sentences[2]
    assert "holds nothing" in sentences[3]
    assert "is not a use" in sentences[4]
    assert "neither yes nor no" in sentences[5]
    assert "opposite" in sentences[6]
    assert "is not an ISRC" in sentences[7]
    assert not Grant.objects.exists()


def test_a_yes_needs_an_agreement_of_that_party(rosa: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    job = looked(rosa, f"{recording.isrc} eval yes", party)
    assert job.refused == 1
    with pytest.raises(Refused):
        looked(rosa, "x", party, signed(rosa, make_party(rosa)))
    with pytest.raises(Refused):
        uploaded(rosa, b"x", "list.txt", format="participation")
