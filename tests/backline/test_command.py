"""The command line against the real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.models import Project
from experiments.runs import runs
from portal import tokens
from portal.models import User
from tests.backline.test_client import Server
from tests.patience import LIMIT_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def command(url: str, token: str, *words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "backline", "--url", url, *map(str, words)],
        env=os.environ | {"BACKLINE_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )


def test_runs_are_listed_and_a_bad_submission_is_a_sentence(
    live_server: Server, project: Project, ada: User, tmp_path: Path
) -> None:
    runs.open_client_run(by=ada, project=project, name="Outside")
    token = tokens.issue(ada, "shell")[1]
    listed = command(live_server.url, token, "runs")
    assert listed.returncode == 0
    assert "first-light/1" in listed.stdout
    assert "Outside" in listed.stdout
    file = tmp_path / "config.yaml"
    file.write_text("project: first-light\nrecipe: no-such\n")
    refused = command(live_server.url, token, "submit", file)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert "no-such" in refused.stderr
    assert "BACKLINE_TOKEN" in command(live_server.url, "", "runs").stderr
