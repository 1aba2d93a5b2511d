"""Statements of before, as a migration leaves them."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from audio_samples import clips, credit_statements
from audio_samples.models import CreditStatement, Sample
from experiments.models import Project
from portal.models import User
from rights.usage import crediting
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed

OF_IDS = import_module("audio_samples.migrations.0005_statements_of_ids")
SEVERAL = import_module("audio_samples.migrations.0013_several_clips_of_one_name")


@pytest.mark.django_db(transaction=True)
def test_statements_with_names_become_what_would_be_kept_today(
    ada: User, rosa: User, project: Project
) -> None:
    run = make_run(ada, project, make_allowed(rosa, 1) + make_allowed(rosa, 1))
    sample = make_sample(run)
    today = sample.credit
    assert today is not None
    statement = today.read()
    line = clips.credit_line(today)
    before = MigrationLoader(connection, replace_migrations=False).project_state(
        [("audio_samples", "0005_statements_of_ids")]
    )
    state = before.apps.get_model("audio_samples", "CreditStatement")
    body = state._meta.get_field("body")
    with connection.schema_editor() as editor:
        column = body.clone()
        column.null = True
        column.set_attributes_from_name("body")
        editor.add_field(CreditStatement, column)
    try:
        state.objects.create(
            digest="old",
            packed=b"",
            body={
                "version": 1,
                "use": statement.use,
                "decision": statement.decisions[0],
                "basis": statement.basis,
                "examples": statement.examples,
                "seconds": statement.seconds,
                "recordings": crediting.credit_notes(statement).recordings,
            },
        )
        Sample.objects.update(credit="old")
        CreditStatement.objects.filter(pk=today.pk).delete()

        named = before.apps.get_model("audio_samples", "NamedArtist")
        models = {"CreditStatement": state, "NamedArtist": named}
        OF_IDS.leave_out_the_names(
            SimpleNamespace(
                get_model=lambda app, name: models.get(name) or apps.get_model(app, name)
            ),
            None,
        )
    finally:
        with connection.schema_editor() as editor:
            editor.remove_field(CreditStatement, column)
    sample.refresh_from_db()
    assert sample.credit == today
    assert sample.credit.read() == statement
    assert clips.credit_line(sample.credit) == line
    assert credit_statements.update_statements(run) == 0


@pytest.mark.django_db
def test_an_older_clip_is_recognised_when_it_is_delivered_again(
    ada: User, rosa: User, project: Project
) -> None:
    run = make_run(ada, project, make_allowed(rosa, 1))
    made = [make_sample(run, "a"), make_sample(run, "a", prompt="Größe", seed=7, step=3)]
    identities = [sample.identity for sample in made]
    for sample in made:
        Sample.objects.filter(pk=sample.pk).update(identity=f"older {sample.pk}")
    SEVERAL.identify(apps, None)
    assert [Sample.objects.get(pk=sample.pk).identity for sample in made] == identities
