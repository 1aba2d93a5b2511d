"""Code and environment of a run: stored once, shown as text, compared, and how to do it again."""

import json
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backline import wire
from experiments.charts import comparison
from experiments.models import Attempt, Environment, Project, Run
from experiments.run_page import diffs, reproducing
from experiments.runs import environments, runs, shelving
from portal import tokens
from portal.models import User

SCRIPT = "<script>alert('x')</script>"
DIFF = """\
diff --git a/train.py b/train.py
index 1..2 100644
--- a/train.py
+++ b/train.py
@@ -1,2 +1,2 @@ def main():
-rate = 0.1
+rate = 0.2 # <script>
 --- same
diff --git a/old.bin b/old.bin
deleted file mode 100644
Binary files a/old.bin and /dev/null differ
"""


def report(session: str = "attempt-1", **fields: Any) -> wire.Environment:
    code = {
        "commit": "ab" * 20, "branch": "main", "remote": "git@github.com:lab/code.git",
        "repository": "code", "folder": "jobs", "pushed": True, "changed": 1, "diff": DIFF,
        **fields.pop("code", {}),
    }  # fmt: skip
    return wire.Environment.model_validate({
        "session": session, "entry": "train.py", "arguments": ["--name", "a b; rm -rf /"],
        "python": "CPython 3.12.1", "system": "Linux", "host": "node-7",
        "packages": {"torch": "2.9.0", "mine": "0.1", "forked": "1.0"},
        "direct": {"mine": "a folder of its machine", "forked": "git+https://host/x.git@ab12"},
        "hardware": {"processor": "EPYC", "threads": 8, "memory_bytes": 64_000_000_000,
                     "gpus": [{"name": "H200", "memory_bytes": 1, "driver": "570.1"}]},
        "variables": {"RANK": "0"}, "image": "lab/run@sha256:00", "code": code, **fields,
    })  # fmt: skip


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project, name="Tried", config={"lr": 0.1})


def text_of(client: Client, name: str, run: Run, *more: str, query: str = "") -> str:
    url = reverse(f"experiments:{name}", args=[run.project.slug, run.number, *more])
    answer = client.get(url + query)
    assert answer.status_code == 200, url
    return str(answer.content.decode())


def test_a_session_reports_once_and_the_first_report_stays(run: Run) -> None:
    assert environments.store_report(run, report())
    assert not environments.store_report(run, report(python="PyPy 7"))
    row = Environment.objects.get()
    assert row.facts["python"] == "CPython 3.12.1"
    assert row.diff == DIFF
    assert "diff" not in row.facts["code"]
    assert "packages" not in row.facts


def test_of_an_attempt_the_programs_own_report_counts(run: Run) -> None:
    environments.store_report(run, report("attempt-1", source="launcher", entry="python"))
    assert [one.facts.entry for one in environments.reports(run)] == ["python"]
    environments.store_report(run, report("attempt-1-1f0c9a"))
    environments.store_report(run, report("attempt-2", source="launcher", entry="sh"))
    assert [one.facts.entry for one in environments.reports(run)] == ["train.py", "sh"]


def test_facts_of_many_runs_are_flat_and_read_at_once(
    ada: User, project: Project, run: Run
) -> None:
    other = runs.open_client_run(by=ada, project=project)
    environments.store_report(run, report())
    with CaptureQueriesContext(connection) as queries:
        flat = environments.flat_facts([run, other])
    assert len(queries) == 1
    assert flat[other.pk] == {}
    facts = flat[run.pk]
    assert facts["packages.torch"] == "2.9.0"
    assert facts["hardware.gpu"] == "H200"
    assert facts["code.commit"] == "ab" * 20
    assert facts["code.arguments"] == "--name a b; rm -rf /"
    assert "" not in facts.values()
    # Where runs are compared they stand apart from settings, which may have the same names.
    found = comparison.differences([run, other], [run, other]).environment
    versions = {one.key: one.values for one in found}
    assert versions["environment.packages.torch"] == ["2.9.0", None]


def test_the_api_takes_a_report_from_the_runs_own_token_alone(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    url = f"/api/v1/runs/{run.pk}/environment"

    def send(secret: str, body: str) -> int:
        head = {"Authorization": f"Bearer {secret}"}
        return client.post(url, body, content_type="application/json", headers=head).status_code

    own = tokens.issue(ada, "script", scope=f"run:{run.pk}", by=ada)[1]
    stranger = tokens.issue(ben, "other", scope="api", by=ben)[1]
    body = report().model_dump_json()
    assert send(stranger, body) == 404
    assert send(own, body) == 200
    assert send(own, body) == 200
    assert Environment.objects.count() == 1
    long = report("attempt-2", code={"diff": "x" * wire.MAX_DIFF}).model_dump(mode="json")
    long["code"]["diff"] += "y"
    for wrong in (
        {"arguments": ["a"] * 201}, {"packages": {str(n): "1" for n in range(3_001)}},
        {"code": {"commit": "; ls"}}, {"session": ""}, {"hardware": {"gpus": [{}]}},
        {"code": {"diff": long["code"]["diff"]}},
    ):  # fmt: skip
        sent = report("attempt-2").model_dump(mode="json") | wrong
        assert send(own, json.dumps(sent)) == 422, wrong
    runs.close_client_run(run, outcome="finished", reason="")
    assert send(own, report("attempt-3").model_dump_json()) == 409
    # What the portal takes is told to the program at its start.
    spec = client.get(f"/api/v1/runs/{run.pk}/spec", headers={"Authorization": f"Bearer {own}"})
    assert spec.json()["accepts"] == ["environment", "media"]


def test_a_diff_is_cut_into_files_and_lines() -> None:
    first, second = diffs.read(DIFF).files
    assert (first.name, first.added, first.removed) == ("train.py", 1, 1)
    assert [kind for kind, _ in first.lines] == ["place", "removed", "added", "same"]
    assert first.lines[3][1] == " --- same"
    assert (second.name, second.lines) == ("old.bin", [])
    assert second.notes[1].startswith("Binary files")
    cut = diffs.read(DIFF, most=2)
    assert cut.left_out == 2
    assert sum(len(file.lines) for file in cut.files) == 2
    # Whatever it is, it is text.
    assert diffs.read("") == diffs.Shown([], 0)
    assert diffs.read("@@\n+x").files[0].added == 1
    assert diffs.read("\n\n+++").files[0].added == 0


def test_the_tabs_show_it_as_text(client: Client, ada: User, run: Run) -> None:
    client.force_login(ada)
    for name in ("run_code", "run_environment"):
        assert "has not reported this" in text_of(client, name, run)
    environments.store_report(
        run,
        report(entry=SCRIPT, host=SCRIPT, packages={SCRIPT: SCRIPT}, code={
            "branch": SCRIPT, "remote": SCRIPT, "untracked": [SCRIPT], "untracked_count": 1,
            "note": SCRIPT, "private": [SCRIPT], "diff": f"diff --git a/{SCRIPT} b/{SCRIPT}\n",
        }),
    )  # fmt: skip
    for name in ("run_code", "run_environment", "run_reproduce"):
        assert "<script>alert" not in text_of(client, name, run)
    environments.store_report(run, report("attempt-2"))
    code = text_of(client, "run_code", run)
    assert f'href="https://github.com/lab/code/commit/{"ab" * 20}"' in code
    assert '<span class="added">+rate = 0.2 # &lt;script&gt;' in code
    assert "code/jobs" in code
    first = Environment.objects.order_by("pk")[0]
    assert "Attempt 2" in code
    assert SCRIPT.replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#x27;") in text_of(
        client, "run_code", run, query=f"?start={first.pk}"
    )
    shown = text_of(client, "run_environment", run)
    assert all(word in shown for word in ("H200", "driver 570.1", "node-7", "3 packages"))
    found = text_of(client, "run_environment", run, query="?q=TORCH")
    assert "torch" in found
    assert "forked" not in found


def test_a_script_is_done_again_by_quoted_commands_and_files(
    client: Client, ada: User, run: Run
) -> None:
    client.force_login(ada)
    environments.store_report(run, report(code={"untracked": ["x.py"], "untracked_count": 1}))
    how = reproducing.describe(run)
    assert how.commands == [
        "git clone -- git@github.com:lab/code.git code",
        "cd code",
        f"git checkout {'ab' * 20}",
        "git apply ../uncommitted.patch",
        "# CPython 3.12.1",
        "python -m venv .venv && . .venv/bin/activate",
        "pip install -r ../requirements.txt",
        "cd jobs",
        "python train.py --name 'a b; rm -rf /'",
    ]
    assert how.files["requirements.txt"].splitlines()[1:] == [
        "forked @ git+https://host/x.git@ab12", "# mine==0.1: from a folder of its machine",
        "torch==2.9.0",
    ]  # fmt: skip
    assert how.files["uncommitted.patch"] == DIFF
    missing = " ".join(how.missing)
    assert all(word in missing for word in ("x.py", "mine 0.1", "no seed", "which data"))
    page = text_of(client, "run_reproduce", run)
    assert "x.py" in page
    assert "pip install -r ../requirements.txt\ncd jobs\npython train.py" in page
    assert text_of(client, "run_reproduce_file", run, "config.yaml") == "lr: 0.1\n"
    script = text_of(client, "run_reproduce_file", run, "reproduce.sh")
    assert script.startswith("#!/bin/sh\n# Run 1 of first-light, again.\n")
    gone = reverse("experiments:run_reproduce_file", args=[run.project.slug, run.number, "x"])
    assert client.get(gone).status_code == 404


@pytest.mark.parametrize(
    "remote", ["ext::sh -c touch% /tmp/x", "--upload-pack=x", "/srv/code", "file:///srv", ""]
)
def test_an_address_that_git_would_run_or_nobody_reaches_is_in_no_command(
    run: Run, remote: str
) -> None:
    environments.store_report(run, report(code={"remote": remote}))
    how = reproducing.describe(run)
    assert not any("clone" in line for line in how.commands)
    assert any("no remote address" in sentence for sentence in how.missing)


def test_what_a_program_says_never_ends_a_comment_of_the_script(run: Run) -> None:
    environments.store_report(
        run,
        report(
            code={"private": ["a\nrm -rf /"]},
            packages={"x\nrm": "1", "ok": "1\n2", "mine": "0.1"},
            direct={"mine": "a folder\nrm of it"},
            python="3.12\nrm -rf /",
            system="Linux\nrm",
        ),
    )
    how = reproducing.describe(run)
    assert not any(line.startswith("rm") for line in how.files["reproduce.sh"].splitlines())
    lock = how.files["requirements.txt"].splitlines()
    assert not any(line.startswith(("rm", "x")) for line in lock)
    assert not any("\n" in command for command in how.commands)


def test_without_a_report_it_is_said(run: Run) -> None:
    how = reproducing.describe(run)
    assert how.commands == []
    assert "reported neither code nor environment" in how.missing[0]


def test_a_run_of_the_portal_is_submitted_again(ada: User, project: Project) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={"seed": 3}, name="T")
    how = reproducing.describe(run)
    assert how.commands[-1] == "python -m backline submit submission.yaml"
    again = wire.Submission.model_validate(yaml.safe_load(how.files["submission.yaml"]))
    assert (again.project, again.recipe, again.name) == (project.slug, "tone_check", "T")
    assert again.config == run.submitted_config
    assert how.missing == []
    Run.objects.update(code_version="git 000", recipe="tone_check")
    run.refresh_from_db()
    assert "git 000" in reproducing.describe(run).missing[0]


def test_the_image_that_the_cluster_runs_is_kept_with_its_attempt(
    client: Client, ada: User, project: Project
) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    attempt = runs.claim(run)
    assert attempt is not None
    image = "registry.example/run@sha256:" + "1" * 64
    runs.mark_created(attempt, image=image)
    assert Attempt.objects.get().image == image
    environments.store_report(run, report("attempt-1"))
    client.force_login(ada)
    assert image in text_of(client, "run_environment", run)


def test_a_purged_run_has_no_code_left(ada: User, run: Run) -> None:
    environments.store_report(run, report())
    Run.objects.update(state=Run.State.FINISHED, deleted_at=timezone.now())
    run.refresh_from_db()
    shelving.purge(run)
    assert not Environment.objects.exists()
