"""Rows of before, as a migration leaves them."""

from datetime import date, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from portal.models import AuditEvent, User
from rights.consent import consent
from rights.grants import agreements, lifecycle
from rights.models import (
    Credit,
    Hold,
    OptOut,
    Purpose,
    RightType,
    RoleCode,
    Signal,
    Use,
    WithdrawalCase,
)
from rights.parties import parties
from tests.catalogue import allow, make_party, make_recording, second_admin

OPT_OUTS = import_module("rights.migrations.0011_opt_outs")
REASONS = import_module("rights.migrations.0014_reasons_of_others")
SIGNALS = import_module("rights.migrations.0018_name_what_signals_deny")
UNASKED = import_module("rights.migrations.0020_hold_whom_nobody_asked")


@pytest.mark.django_db(transaction=True)
def test_noes_that_were_kept_per_grant_are_kept_by_who_said_them(rosa: User) -> None:
    """One is in the log as a holder's, of an agent's grant; the other has no line. The migration
    cannot be undone, so its table of before is laid beside today's."""
    holder, agent = make_party(rosa), make_party(rosa)
    songs = [make_recording(rosa, holder) for _ in range(2)]
    paper = agreements.sign(
        by=rosa, counterparty=agent, title="Deal", signed_on=date(2026, 1, 1)
    )  # fmt: skip
    grant = agreements.draft_grant(
        by=rosa, agreement=paper, right_type=RightType.MASTER, use=Use.EVAL
    )
    at = timezone.now() - timedelta(days=3)
    AuditEvent.objects.create(
        seq=10_000, form=2, at=at, actor=rosa, verb="recording.opted_out",
        subject_type="rights.recording", subject_id=str(songs[0].pk),
        body={"use": "eval", "party": holder.pk}, prev_hash="", hash="no hash",
    )  # fmt: skip
    steps = MigrationLoader(connection, replace_migrations=False)
    before = steps.project_state([("rights", "0010_catalogue_index")]).apps
    exclusion = before.get_model("rights", "GrantExclusion")

    def get_model(app: str, name: str) -> object:
        return exclusion if name == "GrantExclusion" else apps.get_model(app, name)

    with connection.schema_editor() as editor:
        editor.create_model(exclusion)
    try:
        for song in songs:
            exclusion.objects.create(
                grant_id=grant.pk, recording_id=song.pk, reason="A live take.", created_at=at
            )
        OPT_OUTS.keep_the_noes(SimpleNamespace(get_model=get_model), None)
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(exclusion)
    rows = OptOut.objects.order_by("recording")
    assert [(row.recording, row.party) for row in rows] == [(songs[0], holder), (songs[1], agent)]
    assert {(row.use, row.reason, row.at) for row in rows} == {("eval", "A live take.", at)}


def take_out_the_reasons() -> None:
    """With the models of that migration, which know no methods of today's."""
    steps = MigrationLoader(connection, replace_migrations=False)
    state = steps.project_state([("rights", "0014_reasons_of_others")])
    REASONS.take_out_the_reasons(state.apps, None)


@pytest.mark.django_db
def test_what_a_holder_told_the_lab_is_taken_out_of_the_agents_case(rosa: User) -> None:
    writer, publisher = make_party(rosa, "Ines Faro"), make_party(rosa, "Lantern")
    songs = [make_recording(rosa, writer, title=title) for title in ("Tidal", "Ebb")]
    mandate = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["composition"]
    )
    parties.approve_mandate(mandate, second_admin())
    allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    allow(rosa, writer, Use.EVAL, rights=(RightType.MASTER,))
    for song in songs:
        lifecycle.opt_out(song, Use.EVAL, writer, rosa, "A private reason.")
    (own,) = WithdrawalCase.objects.filter(party=writer)
    first, second = WithdrawalCase.objects.filter(party=publisher).order_by("pk")
    before = first.reason
    # As it was kept then: what was said for both songs was one word, and so one case.
    first.recordings.add(*second.recordings.all())
    Hold.objects.filter(case=second).update(case=first)
    second.tasks.all().delete()
    second.steps.all().delete()
    second.items.all().delete()
    second.delete()
    WithdrawalCase.objects.update(reason="A private reason.")
    Hold.objects.update(reason="A private reason.")

    lines = AuditEvent.objects.count()
    for _ in range(2):
        take_out_the_reasons()
        for row in (first, own):
            row.refresh_from_db()
        assert before == "Ines Faro opted “Tidal” out."
        assert first.reason == "Ines Faro opted “Tidal” and 1 more out."
        assert set(first.holds.values_list("reason", flat=True)) == {first.reason}
        assert own.reason == "A private reason."
        assert set(own.holds.values_list("reason", flat=True)) == {own.reason}
    assert AuditEvent.objects.count() == lines


@pytest.mark.django_db
def test_an_agents_own_word_stays_as_it_was_said(rosa: User) -> None:
    writer, publisher = make_party(rosa), make_party(rosa)
    song = make_recording(rosa, writer)
    mandate = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["composition"]
    )
    parties.approve_mandate(mandate, second_admin())
    (grant,) = allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    assert song.works.exists()
    allow(rosa, writer, Use.EVAL, rights=(RightType.MASTER,))
    lifecycle.withdraw(grant, rosa, "We part ways.")
    take_out_the_reasons()
    assert set(WithdrawalCase.objects.values_list("reason", flat=True)) == {"We part ways."}


@pytest.mark.django_db
def test_signals_of_before_name_the_uses_that_they_deny(rosa: User) -> None:
    recording = make_recording(rosa, make_party(rosa))
    noted = {
        ("cawg.ai_training", "notAllowed"): ["train.analysis"],
        ("c2pa.ai_inference", "notAllowed"): ["eval", "condition"],
        ("backline.stems", "constrained"): ["stems"],
        ("org.example.other", "notAllowed"): [use.value for use in Use],
        ("cawg.data_mining", "allowed"): [],
        ("tdm-reservation", "0"): [],
    }
    for key, value in noted:
        Signal.objects.create(
            recording=recording, scheme="cawg", key=key, value=value, denies=False, made_by=rosa,
            source="song.wav",
        )  # fmt: skip
    SIGNALS.name_them(apps, None)
    assert {(row.key, row.value): row.denied for row in Signal.objects.all()} == noted
    assert {row.key for row in Signal.objects.filter(denies=True)} == {
        key for (key, _), uses in noted.items() if uses
    }


def test_what_was_allowed_without_a_singers_word_is_put_on_hold(rosa: User) -> None:
    artist, guest = make_party(rosa), make_party(rosa)
    allow(rosa, artist, Use.VOICE, Use.LIKENESS_NAME, rights=tuple(RightType))
    song, other = make_recording(rosa, artist), make_recording(rosa, artist)
    here = consent.Context(Purpose.RESEARCH, "world", "backline")
    assert consent.check([song, other], Use.VOICE, here, by=rosa).allowed
    # As they stood there before anybody asked for them.
    for role in (RoleCode.VOCALIST, RoleCode.MIXER):
        Credit.objects.create(recording=song, party=guest, role=role)
    UNASKED.hold(apps, None)
    found = Hold.objects.get()
    assert (found.recording, found.use, found.party) == (song, Use.VOICE, guest)
