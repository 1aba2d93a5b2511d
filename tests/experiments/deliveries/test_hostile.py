"""What a program sends that nobody could keep: a 4xx with a sentence, and all pages stay whole."""

import importlib
import json
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from experiments.models import Project, Run
from portal.models import User
from tests.experiments.test_api import Caller, own, run, whole

__all__ = ["run"]

pytestmark = pytest.mark.django_db

CONFIGS = [
    '{"\\ud800": 1}', '{"a": "\\udfff"}', '{"a\\u0000": 1}', '{"a": NaN}', '{"a": -Infinity}',
    '{"a": 1e400}', '{"a": ' + "9" * 400 + "}", '{"a": ' + "[" * 500 + "]" * 500 + "}",
    '{"a": "' + "x" * 300_000 + '"}',
]  # fmt: skip


def pages_are_whole(client: Client, by: User, project: Project) -> None:
    client.force_login(by)
    for page in ("", "compare/?runs=1", "runs/1/", "runs/1/config/", "?sort=config.a&col=config.a"):
        answer = client.get(f"/projects/{project.slug}/{page}")
        assert answer.status_code in {200, 404}, page


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_that_cannot_be_kept_opens_no_run_and_takes_no_page_down(
    client: Client, ada: User, project: Project, config: str
) -> None:
    body = f'{{"project": "{project.slug}", "config": {config}}}'
    answer = whole(ada).post("/runs", body)
    assert answer.status_code == 422
    assert "config" in json.dumps(answer.json())
    assert not Run.objects.exists()
    pages_are_whole(client, ada, project)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_submission_of_it_is_refused_too(ada: User, project: Project, config: str) -> None:
    body = f'{{"project": "{project.slug}", "recipe": "program", "config": {config}}}'
    assert whole(ada).post("/submissions", body).status_code == 422
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("usage", {"step": 2**63, "lines": []}), ("heartbeat", {"session": "a", "waiting": 2**63}),
        ("logs", {"session": "a", "stream": "stdout", "offset": 2**63, "text": "a"}),
        ("logs", {"session": "a", "stream": "stdout", "offset": 0, "text": "a",
                  "at": "0001-01-01T00:00:00+14:00"}),
        ("ending", {"outcome": "finished", "reason": "a\0"}),
        ("undelivered", {"session": "a", "count": 2**63}),
    ],
)  # fmt: skip
def test_numbers_and_times_that_no_column_holds_are_refused(
    run: Run, ada: User, path: str, body: dict[str, Any]
) -> None:
    assert own(run, ada).post(f"/runs/{run.pk}/{path}", body).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        f"session=a&number={2**63}", "session=a&number=-1", "session=a%00&number=1",
        "session=a&number=" + "9" * 5_000,
    ],
)  # fmt: skip
def test_a_batch_number_that_no_column_holds_is_refused(run: Run, ada: User, query: str) -> None:
    caller: Caller = own(run, ada)
    answer = caller.client.post(
        f"/api/v1/runs/{run.pk}/batches?{query}", b"", content_type="application/octet-stream"
    )
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("query", [f"offset={2**63}", f"limit={2**63}", "offset=-1", "limit=0"])
def test_a_page_that_no_database_counts_to_is_refused(ada: User, query: str) -> None:
    assert whole(ada).client.get(f"/api/v1/runs?{query}").status_code == 422


def test_a_log_with_what_cannot_be_kept_is_kept_with_a_mark(run: Run, ada: User) -> None:
    body = '{"session": "a", "stream": "stdout", "offset": 0, "text": "a\\u0000\\ud800b"}'
    assert own(run, ada).post(f"/runs/{run.pk}/logs", body).status_code == 200
    assert run.logs.get().text == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has never taken it.")
def test_a_project_that_such_a_config_took_down_comes_back(
    client: Client, ada: User, project: Project, run: Run
) -> None:
    Run.objects.filter(pk=run.pk).update(config={"a\ud800": {"b": "\udfff"}, "seed": 3})
    migration = importlib.import_module("experiments.migrations.0019_mend_configs")
    migration.mend(apps, None)
    assert Run.objects.get().config == {"a?": {"b": "?"}, "seed": 3}
    pages_are_whole(client, ada, project)
