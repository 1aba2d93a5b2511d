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
from rights import agreements
from rights.models import OptOut, RightType, Use
from tests.catalogue import make_party, make_recording

OPT_OUTS = import_module("rights.migrations.0011_opt_outs")


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
    before = MigrationLoader(connection).project_state([("rights", "0010_catalogue_index")]).apps
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
