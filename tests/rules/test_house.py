"""Rules of the house that no linter knows."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field, Model

ROOT = Path(__file__).resolve().parents[2]
LINE = ["portal", "rights", "experiments", "audio_samples", "listening"]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def place(model: type[Model]) -> int:
    return LINE.index(model._meta.app_label)


def test_foreign_keys_follow_the_import_line() -> None:
    """A key written as a string escapes the import contracts; it still may not point up."""
    upward = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in LINE
        for field in model._meta.get_fields()
        if isinstance(field, Field)
        and field.is_relation
        and isinstance(field.related_model, type)
        and field.related_model._meta.app_label in LINE
        and place(field.related_model) > place(model)
    ]
    assert upward == []


def test_every_table_is_known_to_whoever_starts_django() -> None:
    """Django imports an app's `models` and nothing else: a table beside it is missing in a worker
    that has not happened to import its module, and with it what a deletion has to take along."""
    elsewhere = [
        model.__module__
        for model in apps.get_models()
        if model._meta.app_label in LINE
        and not model.__module__.startswith(f"{model._meta.app_label}.models")
    ]
    assert elsewhere == []


@pytest.mark.django_db
def test_the_tables_are_what_the_migrations_make() -> None:
    """Whoever moves a model moves no table: a database of before opens without a step."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_a_database_made_at_once_is_what_the_single_steps_come_to() -> None:
    """A new database takes the squashed migrations, one of before goes on step by step."""
    loader = MigrationLoader(None)
    at_once = loader.project_state()
    step_by_step = MigrationLoader(None, replace_migrations=False).project_state()
    assert MigrationAutodetector(step_by_step, at_once).changes(graph=loader.graph) == {}
    made = {app for app, name in loader.graph.nodes if "_squashed_" in name}
    assert made == {"portal", "rights", "experiments", "audio_samples", "listening"}


# What was migrated while modules moved into packages and names changed.
NO_OPS = [
    ("rights", "0023_uses_from_the_table"),
    ("experiments", "0020_uses_from_the_table"),
    ("experiments", "0021_affected_datasets"),
]


@pytest.mark.parametrize("step", NO_OPS)
@pytest.mark.django_db(transaction=True)
def test_a_database_made_before_modules_moved_opens_as_it_is(step: tuple[str, str]) -> None:
    loader = MigrationLoader(connection, replace_migrations=False)
    steps = loader.collect_sql([(loader.graph.nodes[step], False)])
    assert steps
    assert [line for line in steps if not line.startswith(("--", "BEGIN", "COMMIT"))] == []


def test_django_has_nothing_to_object_to() -> None:
    """`manage.py up` and the worker start without its checks."""
    assert run_checks() == []


# Fragments of a form that stands in another template, and forms that only look something up.
LISTS_NO_ERRORS = {
    "experiments/model_text_fields.html", "experiments/sweep_fields.html", "rights/field.html",
    "rights/why.html",
    "rights/mine_statements.html",
}  # fmt: skip


def test_every_form_lists_what_is_wrong_with_it_above_its_fields() -> None:
    without = [
        name
        for template in TEMPLATES
        if "portal/field.html" in (text := template.read_text())
        and "portal/errors.html" not in text
        and (name := str(template.relative_to(ROOT / "templates"))) not in LISTS_NO_ERRORS
    ]
    assert without == []


def test_no_page_asks_in_a_window_of_the_browser() -> None:
    """Its question has neither our words nor our looks: static/js/confirm.js asks."""
    asking = [
        path.name
        for path in [*TEMPLATES, *sorted((ROOT / "static" / "js").glob("*.js"))]
        if re.search(r"hx-confirm|\b(?:window\.)?(?:confirm|alert|prompt)\(", path.read_text())
    ]
    assert asking == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_templates_carry_no_script(template: Path) -> None:
    """The content security policy would not run it: scripts are files, data is data."""
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template.read_text(encoding="utf-8"))
    assert re.findall(r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>", text) == []
    assert re.findall(r"\son[a-z]+\s*=", text) == []
    assert re.findall(r"\shx-on", text) == []


def test_one_door_for_each_heavy_thing() -> None:
    doors = {
        "kubernetes": {"workers/cluster/kubernetes.py"},
        "boto3": {"portal/storage/s3.py"},
        "cmaes": {"experiments/sweeps/evolution.py"},
        "reportlab": {
            f"experiments/reports/export/{name}.py" for name in ("pdf", "pdf_fonts", "pdf_text")
        },
        "optuna": {"experiments/sweeps/sampling.py"},
        "torchaudio": {"workers/models/torchaudio_door.py"},
    }
    for module, allowed in doors.items():
        pattern = re.compile(rf"^\s*(?:import|from) {module}\b", re.MULTILINE)
        users = {
            str(path.relative_to(ROOT))
            for app in (*LINE, "backline", "workers")
            for path in (ROOT / app).rglob("*.py")
            if pattern.search(path.read_text(encoding="utf-8"))
        }
        assert users <= allowed, module
