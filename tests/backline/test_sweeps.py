"""`backline.sweep` and `backline submit` with a sweep, against the real server."""

from pathlib import Path

import pytest

import backline
from backline import sweeps as client
from experiments.models import Project, Sweep
from portal import tokens
from portal.models import User
from tests.backline.test_client import Server
from tests.backline.test_command import command
from tests.experiments.sweeps import world
from workers.cluster.fake import RecordingCluster

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(ada: User, live_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    secret = tokens.issue(ada, "shell")[1]
    monkeypatch.setenv("BACKLINE_URL", live_server.url)
    monkeypatch.setenv("BACKLINE_TOKEN", secret)
    return secret


def test_a_script_starts_a_sweep_waits_for_it_and_reads_the_best(
    token: str, ada: User, ben: User, project: Project, live_server: Server
) -> None:
    handle = backline.sweep(
        "first-light", "tone_check", {"steps": 5}, {"frequency": [220.0, 440.0, 880.0]},
        parallel=3, name="tones",
    )  # fmt: skip
    row = Sweep.objects.get(pk=handle.id)
    assert (row.name, row.config["steps"], row.method) == ("tones", 5, "grid")
    assert handle.url == live_server.url + row.get_absolute_url()
    with pytest.raises(TimeoutError):
        handle.wait(seconds=0.01, every=0.05)
    world.finish(RecordingCluster(slots=5), row, lambda params: abs(params["frequency"] - 440))
    best = handle.wait(every=0.05).best()
    assert best is not None
    assert (best.params, best.values, best.run) == ({"frequency": 440.0}, [0.0], 2)
    assert [trial.state for trial in handle.trials()] == ["complete"] * 3
    with pytest.raises(backline.Refused, match="in no state for this: finished"):
        handle.stop()
    other = tokens.issue(ben, "his")[1]
    with pytest.raises(backline.Refused, match="not yours to see"):
        client.find(handle.id, token=other)


def test_a_file_with_a_sweep_in_it_starts_one_and_a_limit_that_nobody_knows_is_refused(
    token: str, project: Project, live_server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    text = "project: first-light\nrecipe: tone_check\nsweep:\n  space: {seed: [1, 2]}\n"
    file.write_text(text)
    done = command(live_server.url, token, "submit", file)
    assert done.returncode == 0, done.stderr
    assert "Sweep 1 is started, 2 trials at most: " in done.stdout
    file.write_text(text + "  max_trials: 5\n")
    refused = command(live_server.url, token, "submit", file)
    assert (refused.returncode, "max_trials" in refused.stderr) == (1, True)
    with pytest.raises(backline.Refused, match="only one combination"):
        backline.sweep("first-light", "tone_check", space={"seed": [1]})
