"""KubernetesCluster against a scripted API server: what goes wrong on the wire, and is asked."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.patience import LIMIT_SECONDS
from tests.workers.cluster.api_server import AT, Fault, Json, Server, serving
from workers.cluster import Job, JobStatus, Refused, Unavailable, backend, kube_watch
from workers.cluster.kube_watch import FRESH_SECONDS
from workers.cluster.kubernetes import KubernetesCluster

NAME = "run-0123456789ab-1"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def cluster(server: Server) -> Iterator[KubernetesCluster]:
    made = connected(server)
    yield made
    made.close()


def connected(server: Server, **how: object) -> KubernetesCluster:
    api = server.cluster_api()
    return KubernetesCluster(api, namespace="runs", image="lab@sha256:0", **how)  # type: ignore[arg-type]


def job(name: str = NAME, **how: object) -> Job:
    env = {"BACKLINE_TOKEN": "secret"}
    return Job(name=name, command=("python", "-m", "workers.run"), env=env, **how)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.01)


def sees(cluster: KubernetesCluster, phase: str, name: str = NAME) -> JobStatus:
    until(lambda: name in cluster.observe() and cluster.observe()[name].phase == phase)
    return cluster.observe()[name]


# --- Creating ---------------------------------------------------------------------------------


def test_the_token_is_in_a_secret_that_goes_with_the_job(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job())
    made, secret = server.kept["jobs"][NAME], server.kept["secrets"][NAME]
    assert secret["stringData"] == {"BACKLINE_TOKEN": "secret"}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert "secret" not in str(made["spec"]["template"]["spec"]["containers"][0]["env"][0])
    posts = [call for call in server.asked if call.startswith("POST")]
    assert [call.rpartition("/")[2] for call in posts] == ["secrets", "jobs"]


def test_a_lost_answer_and_already_exists_are_one_job(
    cluster: KubernetesCluster, server: Server
) -> None:
    server.faults.append(Fault("POST", "/jobs", lost=True))
    with pytest.raises(Unavailable, match="does not answer"):
        cluster.create(job())
    assert server.names("jobs") == [NAME]
    cluster.create(job())
    assert server.kept["secrets"][NAME]["metadata"]["ownerReferences"]
    assert len(server.kept["pods"]) == 1


def test_the_secret_of_a_killed_round_gets_the_new_token(
    cluster: KubernetesCluster, server: Server
) -> None:
    server.put("secrets", {"metadata": {"name": NAME}, "stringData": {"BACKLINE_TOKEN": "old"}})
    cluster.create(job())
    assert server.kept["secrets"][NAME]["stringData"] == {"BACKLINE_TOKEN": "secret"}


@pytest.mark.parametrize(
    ("status", "message", "sentence"),
    [
        (
            403,
            'jobs.batch "x" is forbidden: exceeded quota: gpus, requested: count/jobs.batch=1',
            "The cluster refuses it: exceeded quota: gpus, requested: count/jobs.batch=1",
        ),
        (
            400,
            'admission webhook "lab.example" denied the request: name a cost centre',
            "The cluster's rules refuse it: name a cost centre",
        ),
        (422, "Job is invalid: spec", "The cluster refuses it: Job is invalid: spec"),
    ],
)
def test_a_refusal_is_a_sentence_and_leaves_nothing_behind(
    cluster: KubernetesCluster, server: Server, status: int, message: str, sentence: str
) -> None:
    server.faults.append(Fault("POST", "/jobs", status, message))
    with pytest.raises(Refused) as refusal:
        cluster.create(job())
    assert str(refusal.value) == sentence
    assert server.names("secrets") == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, 'jobs.batch is forbidden: User "x" cannot create resource "jobs"'),
        (500, 'failed calling webhook "lab.example": connection refused'),
        (401, "Unauthorized"),
        (429, "Too many requests"),
        (503, "etcd has no leader"),
    ],
)
def test_trouble_that_is_not_the_jobs_own_lets_it_wait(
    cluster: KubernetesCluster, server: Server, status: int, message: str
) -> None:
    server.faults.append(Fault("POST", "/jobs", status, message))
    with pytest.raises(Unavailable):
        cluster.create(job())


def test_many_nodes_are_refused_by_an_old_server_before_anything_is_made() -> None:
    with serving(version=("1", "20")) as server:
        cluster = connected(server)
        with pytest.raises(Refused, match=r"Kubernetes 1\.20.*1\.24 or newer"):
            cluster.create(job(nodes=2))
        cluster.create(job())
        assert server.names("jobs") == [NAME]


def test_many_nodes_get_a_service_that_goes_with_the_job(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job(nodes=2))
    assert server.kept["jobs"][NAME]["spec"]["completionMode"] == "Indexed"
    assert server.kept["services"][NAME]["metadata"]["ownerReferences"]


# --- Observing --------------------------------------------------------------------------------


def test_a_pass_asks_nothing_while_the_watches_are_heard_however_many_jobs(
    cluster: KubernetesCluster, server: Server
) -> None:
    for number in range(20):
        cluster.create(job(f"run-0123456789ab-{number}"))
    cluster.observe()
    until(lambda: server.calls("watch=true") >= 2)
    before = len(server.asked)
    for _ in range(50):
        assert len(cluster.observe()) == 20
    assert len(server.asked) == before


def test_a_change_is_seen_at_once_and_wakes() -> None:
    rings: list[float] = []
    with serving() as server:
        cluster = connected(server, wake=lambda: rings.append(time.monotonic()))
        cluster.create(job())
        sees(cluster, "running")
        until(lambda: server.calls("watch=true") >= 2)
        rings.clear()
        began = time.monotonic()
        server.ends(NAME, 3)
        assert sees(cluster, "failed").exit_code == 3
        until(lambda: bool(rings))
        # Not when the list is asked for anew.
        assert rings[0] - began < FRESH_SECONDS / 2
        cluster.close()


def test_a_watch_that_is_cut_goes_on_where_it_was(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job())
    sees(cluster, "running")
    until(lambda: len(server.watches) >= 2)
    server.cut_watches()
    server.ends(NAME, 0)
    sees(cluster, "succeeded")
    lists = [call for call in server.asked if "/jobs?" in call and "watch" not in call]
    assert len(lists) == 1


def test_a_version_that_the_server_forgot_is_listed_anew(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job())
    sees(cluster, "running")
    until(lambda: len(server.watches) >= 2)
    server.ends(NAME, 0)
    server.history.clear()
    server.gone_before = server.number
    server.cut_watches()
    sees(cluster, "succeeded")


def test_a_server_that_is_away_is_unavailable_once_what_is_known_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kube_watch, "FRESH_SECONDS", 0.2)
    with serving() as server:
        cluster = connected(server)
        cluster.create(job())
        sees(cluster, "running")
    with pytest.raises(Unavailable, match="does not answer"):
        until(lambda: not cluster.observe(), 3)
    cluster.close()


def test_the_reason_without_a_pod_is_what_the_controller_says() -> None:
    with serving(runs_pods=False) as server:
        cluster = connected(server)
        cluster.create(job())
        server.says("e1", NAME, "exceeded quota: gpus")
        until(lambda: cluster.observe()[NAME].reason == "exceeded quota: gpus.")
        server.says("e1", NAME, "exceeded quota: gpus", count=5)
        until(lambda: [event.count for event in cluster.events(NAME)] == [5])
        assert cluster.events("run-ffffffffffff-1") == []
        cluster.close()


def test_a_job_deleted_by_hand_is_lost_until_it_is_forgotten(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job())
    sees(cluster, "running")
    server.remove("jobs", NAME)
    server.remove("pods", f"{NAME}-abcde")
    assert "deleted" in sees(cluster, "lost").reason
    cluster.forget(NAME)
    assert cluster.observe() == {}


def test_a_failed_job_whose_pods_watch_is_behind_is_asked_for_its_pods(
    cluster: KubernetesCluster, server: Server
) -> None:
    server.runs_pods = False
    cluster.create(job())
    cluster.observe()
    server.runs_pods = True
    made = server.kept["jobs"][NAME]
    ended = {"exitCode": 3, "reason": "Error"}
    pod = {
        "metadata": {"name": f"{NAME}-x", "labels": {"job-name": NAME}},
        "spec": {"nodeName": "node-a"},
        "status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": ended}}]},
    }
    # Kept, and no watch is told: as if the line were still on its way.
    watches, server.watches = server.watches, []
    server.put("pods", pod)
    server.watches = watches
    made["status"]["conditions"] = [{"type": "Failed", "status": "True", "message": ""}]
    server.put("jobs", made)
    assert sees(cluster, "failed").exit_code == 3


def test_the_clock_that_counts_is_the_servers() -> None:
    """A portal a minute ahead must not think that a pod's grace is over."""
    behind = datetime.now(UTC) - timedelta(minutes=1)
    with serving(date=format_datetime(behind, usegmt=True)) as server:
        cluster = connected(server)
        cluster.create(job())
        sees(cluster, "running")
        pod = server.pod_of(NAME)
        gone = (behind + timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
        pod["metadata"] |= {"deletionTimestamp": gone, "deletionGracePeriodSeconds": 30}
        server.put("pods", pod)
        time.sleep(0.2)
        assert cluster.observe()[NAME].phase == "running"
        cluster.close()


# --- Ending -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["", "FailureTarget", "Failed"])
def test_the_grace_of_a_cancelled_job_is_the_one_that_was_asked_for(
    cluster: KubernetesCluster, server: Server, said: str
) -> None:
    """Servers before 1.31 call the Job failed while its pods end, newer ones only after that."""
    cluster.create(job())
    sees(cluster, "running")
    made = server.kept["jobs"][NAME]
    made["status"]["startTime"] = ""
    cluster.cancel(NAME, 5)
    decides(server, "DeadlineExceeded", *filter(None, [said]))
    # The controller tells its pod to go, with the minute of its own.
    going(server, seconds=60)
    until(lambda: bool(cluster.observe()) and server.calls("DELETE /api/v1") == 1)
    assert server.bodies[-1]["gracePeriodSeconds"] == 5


def decides(server: Server, reason: str, *kinds: str) -> None:
    """The Job's controller: how it will end, or has."""
    made = server.kept["jobs"][NAME]
    made["status"]["conditions"] = [
        {"type": kind, "status": "True", "reason": reason, "message": ""} for kind in kinds
    ]
    server.put("jobs", made)


def going(server: Server, *, seconds: int, **status: object) -> Json:
    """Its pod is told to go; what the kubelet says of it then."""
    pod = server.pod_of(NAME)
    later = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    pod["metadata"] |= {"deletionTimestamp": later, "deletionGracePeriodSeconds": seconds}
    pod["status"] |= status
    return server.put("pods", pod)


def drained(server: Server, *, code: int) -> None:
    """As a drain ends a pod: the program ends, the pod says why, and then it is gone."""
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    ended = {"exitCode": code, "reason": "Error", "finishedAt": AT}
    going(
        server,
        seconds=60,
        phase="Failed",
        conditions=[target | {"message": "Eviction API: evicting"}],
        containerStatuses=[{"name": "run", "state": {"terminated": ended}}],
    )
    decides(server, "PodFailurePolicy", "FailureTarget")
    server.remove("pods", f"{NAME}-abcde")


@pytest.mark.parametrize("looks", ["in between", "only at the end"])
def test_a_drained_pod_leaves_its_words_and_code_with_every_process_that_saw_it(
    server: Server, looks: str
) -> None:
    cluster = connected(server)
    cluster.create(job())
    sees(cluster, "running")
    until(lambda: len(server.watches) >= 2)
    drained(server, code=75)
    if looks == "in between":
        until(lambda: cluster.observe()[NAME].phase == "pending")
        # Another worker, which has never heard of that pod.
        cluster.close()
        cluster = connected(server)
    decides(server, "PodFailurePolicy", "FailureTarget", "Failed")
    found = sees(cluster, "preempted")
    assert found.exit_code == 75
    assert found.reason == "It was evicted: its node is being emptied. Eviction API: evicting."
    cluster.forget(NAME)
    assert cluster._pods.vanished() == {}
    cluster.close()


def test_what_was_seen_of_a_pod_is_noted_once(cluster: KubernetesCluster, server: Server) -> None:
    cluster.create(job())
    sees(cluster, "running")
    until(lambda: len(server.watches) >= 2)
    before = server.calls("PATCH")
    drained(server, code=75)
    until(lambda: cluster.observe()[NAME].phase == "pending")
    for _ in range(20):
        cluster.observe()
    assert server.calls("PATCH") == before + 1


def test_the_nodes_of_an_attempt_stay_known_to_the_next_process_when_ranks_end_well(
    server: Server,
) -> None:
    cluster = connected(server)
    cluster.create(job(nodes=2))
    second = deepcopy(server.pod_of(NAME))
    second["metadata"] |= {"name": f"{NAME}-mate", "uid": "pod-2"}
    second["spec"]["nodeName"] = "mate"
    server.put("pods", second)
    until(lambda: sees(cluster, "running").node == "mate, node-a")
    cluster.close()
    first = server.pod_of(NAME)
    first["status"]["phase"] = "Succeeded"
    server.put("pods", first)
    server.kept["jobs"][NAME]["status"]["succeeded"] = 1
    again = connected(server)
    assert sees(again, "running").node == "mate, node-a"
    again.close()


def test_an_old_server_gets_no_second_pod_started() -> None:
    with serving(version=("1", "20")) as server:
        cluster = connected(server)
        cluster.create(job())
        sees(cluster, "running")
        until(lambda: not server.names("secrets"))
        note = server.kept["jobs"][NAME]["metadata"]["annotations"]["backline/pod"]
        assert note == server.pod_of(NAME)["metadata"]["uid"]
        # The round that found no answer comes again: the key does not come back.
        cluster.create(job())
        assert server.names("secrets") == []
        cluster.close()


def test_the_first_of_many_ranks_does_not_take_the_others_key() -> None:
    with serving(version=("1", "27")) as server:
        cluster = connected(server)
        cluster.create(job(nodes=2))
        until(lambda: NAME in cluster.observe())
        cluster.observe()
        assert cluster.observe()[NAME].reason.startswith("1 of 2 nodes have started")
        assert server.names("secrets") == [NAME]
        cluster.close()


def test_an_unfinished_job_that_is_forgotten_goes_away(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job())
    sees(cluster, "running")
    cluster.forget(NAME)
    assert server.names("jobs") == server.names("secrets") == []
    assert cluster.observe() == {}


def test_a_finished_job_stays_for_people_who_look_without_its_token(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job())
    server.ends(NAME, 0)
    sees(cluster, "succeeded")
    cluster.forget(NAME)
    assert server.kept["jobs"][NAME]["metadata"]["labels"]["backline/seen"] == "true"
    assert server.names("secrets") == []
    time.sleep(0.1)
    assert cluster.observe() == {}


def test_logs_are_the_last_lines_of_its_pods(cluster: KubernetesCluster, server: Server) -> None:
    cluster.create(job())
    server.lines[f"{NAME}-abcde"] = "a\nb\nc"
    assert cluster.logs(NAME, 2) == ["b", "c"]
    assert cluster.logs("run-nobody-1") == []
    server.faults.append(Fault("GET", "/log", 400, "container is waiting to start"))
    assert cluster.logs(NAME) == []


def test_of_many_nodes_the_last_line_is_that_of_the_one_that_ended_first(
    cluster: KubernetesCluster, server: Server
) -> None:
    cluster.create(job(nodes=2))
    for number, (text, at) in enumerate(
        (("It was full.", "10:00:01Z"), ("It is alone.", "10:00:03Z"))
    ):
        pod = deepcopy(server.pod_of(NAME))
        ended = {"exitCode": 1, "finishedAt": f"2026-11-21T{at}"}
        pod["metadata"] |= {
            "name": f"{NAME}-{number}", "uid": f"pod-{number}",
            "annotations": {"batch.kubernetes.io/job-completion-index": str(number)},
        }  # fmt: skip
        pod["status"]["containerStatuses"] = [{"name": "run", "state": {"terminated": ended}}]
        server.put("pods", pod)
        server.lines[f"{NAME}-{number}"] = text
    told = cluster.logs(NAME)
    assert told[-2:] == ["[node 1] It is alone.", "[node 0] It was full."]


def test_the_command_to_look_further_names_context_and_namespace(server: Server) -> None:
    cluster = connected(server, context="lab")
    assert cluster.look(NAME) == f"kubectl --context lab -n runs describe job {NAME}"


# --- Queues -----------------------------------------------------------------------------------


def test_without_kueue_a_queue_says_nothing(server: Server) -> None:
    cluster = connected(server, queue="gpus")
    cluster.create(job())
    assert "suspend" not in server.kept["jobs"][NAME]["spec"]


@pytest.mark.parametrize(
    ("served", "asked"),
    [
        ("v1beta1", "v1beta1"),
        ("v1beta2", "v1beta2"),
        ("v1beta1,v1beta2", "v1beta2"),
        ("v1beta2,v1beta1", "v1beta2"),
        ("v1", "v1"),
    ],
)
def test_with_kueue_a_job_is_suspended_and_its_place_is_told(served: str, asked: str) -> None:
    groups = {"kueue.x-k8s.io": served, "visibility.kueue.x-k8s.io": served}
    with serving(groups=groups) as server:
        cluster = connected(server, queue="gpus")
        cluster.create(job())
        made = server.kept["jobs"][NAME]
        assert made["spec"]["suspend"] is True
        assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
        pending = {"type": "QuotaReserved", "status": "False", "message": "no unused quota"}
        workload = {
            "metadata": {
                "name": f"job-{NAME}-1a2b3",
                "ownerReferences": [{"kind": "Job", "name": NAME}],
            },
            "spec": {"queueName": "gpus"},
            "status": {"conditions": [pending]},
        }
        server.put("workloads", workload)
        until(
            lambda: cluster.observe()[NAME].reason == "It waits in the queue gpus. no unused quota."
        )
        cluster.close()
        versions = {
            call.split("/")[3] for call in server.asked if "kueue" in call and "/names" in call
        }
        assert versions == {asked}


def test_without_a_way_to_the_cluster_runs_wait_and_are_told(
    settings: LazySettings, tmp_path: Path
) -> None:
    settings.CLUSTER = "kubernetes"
    settings.KUBE_CONFIG = str(tmp_path / "nothing")
    cluster = backend.current()
    with pytest.raises(Unavailable, match="KUBE_CONFIG"):
        cluster.observe()
