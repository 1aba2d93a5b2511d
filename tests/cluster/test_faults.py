"""Whatever fails in or around the cluster: no run is lost, none starts twice, nothing is left.

Each fault is a real one: a process is killed, a connection cut, an object deleted. Afterwards the
states are true within half a minute (`becomes`) and nothing of the run stays (`settles`).
"""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.api_door import ApiDoor
from tests.cluster.control_plane import ControlPlane, until
from tests.cluster.lab import Lab
from tests.cluster.process_node import A100, ProcessNode

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

# A run of four seconds, and one that must be told to end.
BRIEF = {"steps": 80, "step_seconds": 0.05}
LONG = {"steps": 5_000, "step_seconds": 0.05}


def started_once_each(lab: Lab, run: str) -> list[str]:
    """Every attempt's program was started once; answers how the attempts ended."""
    attempts = lab.attempts(run)
    assert lab.starts(run) == [attempt["job_name"] for attempt in attempts]
    return [attempt["state"] for attempt in attempts]


# --- The API server and the way to it -------------------------------------------------------


def test_an_api_server_killed_in_mid_run_changes_nothing_for_the_run(
    plane: ControlPlane, lab: Lab
) -> None:
    run = lab.submit("tone_check", **BRIEF)
    lab.becomes(run, "running")
    plane.kill_api_server()
    try:
        lab.do("reconcile")
        assert lab.run(run)["state"] == "running"
    finally:
        plane.start_api_server()
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()


def test_a_run_submitted_while_the_api_server_is_away_waits_and_says_so(
    plane: ControlPlane, lab: Lab
) -> None:
    plane.kill_api_server()
    try:
        run = lab.submit("tone_check", steps=2)
        lab.do("reconcile")
        found = lab.run(run)
        assert (found["state"], "does not answer" in found["state_reason"]) == ("queued", True)
    finally:
        plane.start_api_server()
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()


def test_a_watch_that_is_cut_misses_nothing(lab: Lab, door: ApiDoor) -> None:
    run = lab.submit("tone_check", **BRIEF)
    lab.becomes(run, "running")
    for _ in range(5):
        until("something is watched", lambda: bool(door.watching))
        door.cut_all()
        lab.do("reconcile")
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()


def test_a_job_whose_answer_was_lost_already_exists_and_is_the_same_job(
    lab: Lab, door: ApiDoor
) -> None:
    door.lose = ("POST", "/jobs")
    run = lab.submit("tone_check", **BRIEF)
    lab.do("reconcile")
    assert door.lose is None
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()


def test_a_worker_killed_between_claim_and_create_loses_nothing_and_starts_once(
    lab: Lab, door: ApiDoor
) -> None:
    door.hold = ("POST", "/jobs")
    run = lab.submit("tone_check", **BRIEF)
    lab.world.send("reconcile")
    assert door.held.wait(60)
    lab.world.kill()
    door.hold = None
    assert lab.run(run)["state"] == "starting"
    lab.restart_worker()
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()


def test_a_worker_killed_during_a_run_finds_it_again(lab: Lab) -> None:
    run = lab.submit("tone_check", **BRIEF)
    lab.becomes(run, "running")
    lab.world.kill()
    lab.restart_worker()
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()


# --- Hands in the cluster -------------------------------------------------------------------


@pytest.mark.parametrize("worker", ["same", "other"])
def test_a_job_deleted_by_hand_is_lost_and_the_next_attempt_finishes(
    lab: Lab, batch: client.BatchV1Api, worker: str
) -> None:
    """Whether the worker saw the job go or came after it."""
    run = lab.submit("tone_check", steps=40, step_seconds=0.2)
    lab.becomes(run, "running")
    (attempt,) = lab.attempts(run)
    if worker == "other":
        lab.world.kill()
    batch.delete_namespaced_job(attempt["job_name"], lab.namespace, propagation_policy="Background")
    if worker == "other":
        until("its pod is gone", lambda: lab.pods(run) == [])
        lab.restart_worker(LOST_AFTER_SECONDS="5")
    lab.becomes(run, "finished")
    assert len(started_once_each(lab, run)) == 2
    lab.settles()


def test_a_pod_deleted_by_hand_is_lost_and_the_next_attempt_finishes(
    lab: Lab, core: client.CoreV1Api
) -> None:
    run = lab.submit("tone_check", steps=40, step_seconds=0.2)
    lab.becomes(run, "running")
    (pod,) = lab.pods(run)
    core.delete_namespaced_pod(pod, lab.namespace)
    lab.reconcile_until("it is tried again", lambda: len(lab.attempts(run)) == 2)
    lab.becomes(run, "finished")
    assert started_once_each(lab, run)[1:] == ["succeeded"]
    lab.settles()


# --- Nodes ----------------------------------------------------------------------------------


def test_a_node_that_is_gone_loses_the_attempt_and_the_next_finishes_elsewhere(
    lab: Lab, node: ProcessNode, spare: ProcessNode
) -> None:
    lab.nodes.append(spare)
    only_there = {"gpus": 1, "gpu_type": A100}
    config = {"steps": 60, "step_seconds": 0.05}
    (run,) = lab.do("submit", recipe="tone_check", config=config, resources=only_there)
    lab.becomes(run, "running")
    assert lab.attempts(run)[0]["node"] == spare.name
    spare.die()
    # What is known is shown before the cluster itself has given the node up.
    until("its silence is told", lambda: bool(lab.run(run)["silent_since"]))
    assert "Nothing was heard of its program since" in lab.page(lab.run(run)["url"])
    assert lab.attempts(run)[0]["state"] == "running"
    lab.reconcile_until("it is tried again", lambda: len(lab.attempts(run)) == 2)
    assert lab.attempts(run)[0]["state"] == "lost"
    # No other node has such a GPU: it waits for that one, and says so.
    lab.reconcile_until("it waits", lambda: "No node" in lab.run(run)["state_reason"])
    spare.start()
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["lost", "succeeded"]
    lab.settles()


def test_out_of_memory_fails_the_run_and_names_the_limit(lab: Lab, node: ProcessNode) -> None:
    (run,) = lab.do("submit", recipe="tone_check", config=LONG, resources={"memory_gb": 3})
    lab.becomes(run, "running")
    (pod,) = lab.pods(run)
    node.out_of_memory(pod)
    found = lab.becomes(run, "failed")
    assert "3 GiB" in found["state_reason"]
    assert started_once_each(lab, run) == ["failed"]
    lab.settles()


# --- Permissions and rules ------------------------------------------------------------------


def test_a_token_that_expires_in_mid_run_costs_the_attempt_and_not_the_run(lab: Lab) -> None:
    run = lab.submit("tone_check", steps=160, step_seconds=0.05)
    lab.reconcile_until("it is at work", lambda: "Fitting" in lab.run(run)["stage"])
    assert lab.do("expire_tokens", run=run) == 1
    lab.reconcile_until("it is tried again", lambda: len(lab.attempts(run)) == 2)
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["lost", "succeeded"]
    lab.settles()


def quota(core: client.CoreV1Api, space: str, **hard: str) -> None:
    """A ResourceQuota that is in force when this returns."""
    body = {"metadata": {"name": "quota"}, "spec": {"hard": hard}}
    core.create_namespaced_resource_quota(space, body)
    read = core.read_namespaced_resource_quota_status
    until("the quota is in force", lambda: bool(read("quota", space).status.hard))


def test_a_quota_that_allows_no_job_fails_the_run_with_the_clusters_sentence(
    lab: Lab, core: client.CoreV1Api
) -> None:
    quota(core, lab.namespace, **{"count/jobs.batch": "0"})
    run = lab.submit("tone_check", steps=2)
    found = lab.becomes(run, "failed")
    assert "exceeded quota" in found["state_reason"]
    assert "exceeded quota" in lab.page(found["url"])
    assert lab.starts(run) == []
    lab.settles()


def test_a_quota_that_leaves_no_room_for_a_pod_keeps_the_run_waiting_and_says_why(
    lab: Lab, core: client.CoreV1Api
) -> None:
    quota(core, lab.namespace, **{"requests.cpu": "100m"})
    run = lab.submit("tone_check", steps=2)
    lab.reconcile_until("it says why", lambda: "exceeded quota" in lab.run(run)["state_reason"])
    assert lab.run(run)["state"] == "starting"
    lab.cancel(run)
    lab.becomes(run, "cancelled")
    assert lab.starts(run) == []
    lab.settles()


REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}


@contextmanager
def refusing_webhook(plane: ControlPlane, sentence: str) -> Iterator[str]:
    """An admission webhook that allows nothing; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = {
                "allowed": False,
                "uid": asked["request"]["uid"],
                "status": {"message": sentence},
            }
            content = json.dumps(REVIEW | {"response": said}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = plane.authority.server_context(plane.authority.issue("webhook"))
    # To a webhook the API server comes without a certificate.
    context.verify_mode = ssl.CERT_NONE
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def in_force(plane: ControlPlane, core: client.CoreV1Api, space: str, url: str) -> Iterator[None]:
    """Jobs of this namespace are asked about at `url`."""
    admission = client.AdmissionregistrationV1Api(core.api_client)
    core.patch_namespace(space, {"metadata": {"labels": {"refuses": space}}})
    authority = base64.b64encode(plane.authority.pair.certificate.read_bytes()).decode()
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    hook: dict[str, Any] = {
        "name": "rules.lab.example",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": url, "caBundle": authority},
        "namespaceSelector": {"matchLabels": {"refuses": space}},
        "rules": [rule | {"resources": ["jobs"], "scope": "Namespaced"}],
    }
    admission.create_validating_webhook_configuration(
        {"metadata": {"name": space}, "webhooks": [hook]}
    )
    try:
        yield
    finally:
        admission.delete_validating_webhook_configuration(space)


def refuses_jobs(core: client.CoreV1Api, space: str) -> bool:
    """Whether a job that is only tried is refused."""
    run = {"name": "run", "image": "lab"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [run]}}
    tried = {"metadata": {"name": "tried"}, "spec": {"template": pod}}
    try:
        client.BatchV1Api(core.api_client).create_namespaced_job(space, tried, dry_run="All")
    except client.ApiException:
        return True
    return False


def test_a_refusal_by_the_clusters_own_rules_is_shown_in_their_words(
    plane: ControlPlane, lab: Lab, core: client.CoreV1Api
) -> None:
    sentence = "Every job of this lab names its budget."
    with (
        refusing_webhook(plane, sentence) as url,
        in_force(plane, core, lab.namespace, url),
    ):
        until("the API server has taken notice", lambda: refuses_jobs(core, lab.namespace))
        run = lab.submit("tone_check", steps=2)
        found = lab.becomes(run, "failed")
    assert sentence in found["state_reason"]
    assert sentence in lab.page(found["url"])
    assert lab.starts(run) == []
    lab.settles()


# --- Time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", ["+60s", "-60s"])
def test_a_worker_whose_clock_is_a_minute_off_changes_nothing_for_the_run(
    lab: Lab, skew: str
) -> None:
    libraries = sorted(Path("/usr/lib").glob("**/libfaketime.so.1"))
    if not libraries:
        pytest.skip("No libfaketime found (Debian, Ubuntu: apt-get install libfaketime).")
    lab.restart_worker(
        LD_PRELOAD=str(libraries[0]), FAKETIME=skew, FAKETIME_DONT_FAKE_MONOTONIC="1"
    )
    run = lab.submit("tone_check", **BRIEF)
    lab.becomes(run, "running")
    lab.becomes(run, "finished")
    assert started_once_each(lab, run) == ["succeeded"]
    lab.settles()
