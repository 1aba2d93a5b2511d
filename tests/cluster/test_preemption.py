"""A run that has to make room goes on from its checkpoint as if nothing had happened."""

from typing import Any

import pytest
from kubernetes import client

from tests.cluster.lab import SMALL, Lab
from tests.cluster.process_node import A100, ProcessNode

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

STEPS = 400
# No periodic checkpoint: what the next attempt goes on from was saved when it was told to go.
TRAINING = {**SMALL, "steps": STEPS, "checkpoint_every": 0, "sample_every": 0}


def summary(lab: Lab, run: str, name: str) -> dict[str, Any]:
    found = {one["name"]: one for one in lab.run(run)["metrics"]}
    return found.get(name, {"count": 0, "last_step": 0})


def train_until_preempted(lab: Lab, preempt: Any, **how: Any) -> str:
    """A run that is some way into its training when `preempt(pod)` is called."""
    (run,) = lab.do(
        "submit", recipe="flow_matching", config=TRAINING, dataset=lab.web.dataset, **how
    )
    lab.reconcile_until("it trains", lambda: summary(lab, run, "loss")["last_step"] > 20)
    (pod,) = lab.pods(run)
    preempt(pod)
    lab.reconcile_until("it is tried again", lambda: len(lab.attempts(run)) == 2)
    return run


def test_a_preempted_run_resumes_and_its_weights_equal_an_uninterrupted_runs(
    lab: Lab, node: ProcessNode, core: client.CoreV1Api
) -> None:
    whole = lab.submit("flow_matching", dataset=lab.web.dataset, **TRAINING)
    lab.becomes(whole, "finished")
    cut = train_until_preempted(lab, lambda pod: node.shut_down(pod, grace=30))
    lab.becomes(cut, "finished")
    first, second = lab.attempts(cut)
    assert (first["exit_code"], second["state"]) == (75, "succeeded")
    # Saved once on the way out, in the middle of things, and once at the end.
    (middle, _), (last, weights) = lab.do("checkpoints", run=cut)
    assert 20 < middle < STEPS
    assert [(last, weights)] == [tuple(one) for one in lab.do("checkpoints", run=whole)]
    # Every step was logged once: no seam, nothing twice, nothing missing.
    seen = {name: summary(lab, cut, "loss")[name] for name in ("count", "last", "minimum")}
    assert seen == {name: summary(lab, whole, "loss")[name] for name in seen}
    assert seen["count"] == STEPS
    assert lab.starts(cut) == [first["job_name"], second["job_name"]]
    lab.settles()


def test_a_run_makes_room_for_a_higher_priority_and_goes_on_after_it(
    lab: Lab, spare: ProcessNode, core: client.CoreV1Api
) -> None:
    """The scheduler's own preemption: it deletes the pod of the lesser priority."""
    lab.nodes.append(spare)
    name = f"urgent-{lab.namespace}"
    priority = client.SchedulingV1Api(core.api_client)
    priority.create_priority_class({"metadata": {"name": name}, "value": 1_000})
    urgent = {
        "metadata": {"name": "urgent"},
        "spec": {
            "priorityClassName": name,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"nvidia.com/gpu.product": A100},
            "containers": [
                {
                    "name": "run",
                    "image": "lab",
                    "command": ["python", "-c", "import time; time.sleep(2)"],
                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                }
            ],
        },
    }
    try:
        run = train_until_preempted(
            lab,
            lambda _: core.create_namespaced_pod(lab.namespace, urgent),
            resources={"gpus": 1, "gpu_type": A100},
        )
        lab.becomes(run, "finished")
    finally:
        priority.delete_priority_class(name)
    assert "urgent" in spare.started
    (middle, _), (last, _) = lab.do("checkpoints", run=run)
    assert 20 < middle < last == STEPS
    assert summary(lab, run, "loss")["count"] == STEPS
    lab.settles()
