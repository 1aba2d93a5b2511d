"""The whole walk on a real control plane: from the form to the heard sample."""

import pytest

from tests.cluster.lab import SMALL, Lab
from tests.cluster.process_node import ProcessNode

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_tone_check_goes_from_submit_to_its_sample(lab: Lab, node: ProcessNode) -> None:
    run = lab.submit("tone_check", steps=20, step_seconds=0.02)
    found = lab.becomes(run, "finished")
    assert "loss" in [one["name"] for one in found["metrics"]]
    (attempt,) = lab.attempts(run)
    assert (attempt["state"], attempt["node"]) == ("succeeded", node.name)
    assert lab.starts(run) == [attempt["job_name"]]
    assert "Finished" in lab.page(found["url"])
    assert "a tone of 440 Hz" in lab.page(f"/samples/of/p/{found['number']}/")
    lab.settles()


def test_a_training_run_learns_from_its_recordings_and_is_heard(lab: Lab) -> None:
    run = lab.submit("flow_matching", dataset=lab.web.dataset, **SMALL)
    found = lab.becomes(run, "finished")
    loss = next(one for one in found["metrics"] if one["name"] == "loss")
    assert (loss["count"], loss["last_step"]) == (8, 8)
    assert [step for step, _ in lab.do("checkpoints", run=run)] == [4, 8]
    heard = lab.page(f"/samples/of/p/{found['number']}/")
    assert "ambient pad" in heard
    assert "techno" in heard
    lab.settles()


def test_a_training_on_two_gpus_has_two_processes_that_share_it(lab: Lab) -> None:
    how = {"config": SMALL, "dataset": lab.web.dataset, "resources": {"gpus": 2}}
    (run,) = lab.do("submit", recipe="flow_matching", **how)
    found = lab.becomes(run, "finished")
    figures = {one["name"]: one for one in found["metrics"]}
    assert (figures["loss"]["count"], figures["loss"]["last_step"]) == (8, 8)
    for rank in (0, 1):
        assert figures[f"system/rank/{rank}/step_seconds"]["last_step"] == 8
    assert [step for step, _ in lab.do("checkpoints", run=run)] == [4, 8]
    (attempt,) = lab.attempts(run)
    assert (attempt["state"], attempt["exit_code"]) == ("succeeded", 0)
    assert lab.starts(run) == [attempt["job_name"]]
    lab.settles()


def test_a_cancelled_training_on_two_gpus_saves_and_stops_as_one(lab: Lab) -> None:
    config = {**SMALL, "steps": 20_000, "checkpoint_every": 0, "sample_every": 0}
    how = {"config": config, "dataset": lab.web.dataset, "resources": {"gpus": 2}}
    (run,) = lab.do("submit", recipe="flow_matching", **how)
    lab.reconcile_until("it trains", lambda: lab.run(run)["stage"].startswith("Training"))
    lab.cancel(run)
    lab.becomes(run, "cancelled")
    (attempt,) = lab.attempts(run)
    # By which of the two it heard first, the cluster's signal or the portal's word.
    assert attempt["exit_code"] in (75, 143)
    assert attempt["state"] == "stopped"
    assert len(lab.do("checkpoints", run=run)) == 1
    lab.settles()


def test_a_cancelled_run_stops_its_pod_and_ends_cancelled(lab: Lab) -> None:
    run = lab.submit("tone_check", steps=2_000, step_seconds=0.05)
    lab.becomes(run, "running")
    lab.cancel(run)
    found = lab.becomes(run, "cancelled")
    assert found["state_reason"] == "Cancelled by ada."
    (attempt,) = lab.attempts(run)
    assert attempt["state"] == "stopped"
    assert lab.starts(run) == [attempt["job_name"]]
    lab.settles()


def test_a_run_cancelled_while_no_node_has_room_leaves_nothing(lab: Lab) -> None:
    (run,) = lab.do("submit", recipe="tone_check", resources={"gpus": 8})
    lab.reconcile_until(
        "the page says what it waits for",
        lambda: "nvidia.com/gpu" in lab.run(run)["state_reason"],
    )
    lab.cancel(run)
    lab.becomes(run, "cancelled")
    assert lab.starts(run) == []
    lab.settles()


def test_a_withdrawn_permission_stops_the_pod_and_ends_the_token(lab: Lab) -> None:
    doomed = lab.web.doomed
    run = lab.submit("flow_matching", dataset=doomed, **{**SMALL, "steps": 20_000})
    lab.becomes(run, "running")
    title = lab.do("withdraw", dataset=doomed)
    found = lab.becomes(run, "withheld")
    assert title in found["state_reason"]
    assert lab.do("usable_tokens", run=run) == 0
    lab.settles()
