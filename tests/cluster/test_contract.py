"""The contract of a cluster (workers/cluster) on a real API server, without a portal."""

from collections.abc import Iterator

import pytest
from kubernetes import client

from tests.cluster.conftest import WORKER
from tests.cluster.control_plane import ControlPlane, until
from tests.cluster.process_node import A100, H100, ProcessNode
from workers.cluster import Job, JobStatus, Refused
from workers.cluster.kubernetes import KubernetesCluster

pytestmark = pytest.mark.cluster

NAME = "run-0123456789ab-1"
TOKEN = "bl_a-token-of-this-run"
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(15, lambda *_: print('no', flush=True))\n"


def python(code: str, *, name: str = NAME, **job: object) -> Job:
    env = {"BACKLINE_TOKEN": TOKEN}
    return Job(name=name, command=("python", "-c", code), env=env, **job)  # type: ignore[arg-type]


@pytest.fixture
def cluster(plane: ControlPlane, node: ProcessNode, space: str) -> Iterator[KubernetesCluster]:
    with plane.api(WORKER, group="") as api:
        made = KubernetesCluster(api, namespace=space, image="lab")
        yield made
        made.close()


def one(cluster: KubernetesCluster, name: str = NAME) -> JobStatus:
    return cluster.observe().get(name, JobStatus(name, "pending"))


def ends(cluster: KubernetesCluster, name: str = NAME) -> JobStatus:
    until("it ended", lambda: one(cluster, name).ended)
    return one(cluster, name)


def runs(cluster: KubernetesCluster, line: str = "up", name: str = NAME) -> None:
    until("it runs", lambda: one(cluster, name).phase == "running")
    until(f"it says {line}", lambda: line in cluster.logs(name))


def test_a_job_created_twice_is_one_job(cluster: KubernetesCluster, node: ProcessNode) -> None:
    before = len(node.started)
    cluster.create(python(SLEEP))
    cluster.create(python("raise SystemExit(3)"))
    runs(cluster)
    assert list(cluster.observe()) == [NAME]
    assert (one(cluster).node, len(node.started)) == (node.name, before + 1)


def test_a_cancelled_job_ends_and_cancelling_again_or_a_stranger_is_no_error(
    cluster: KubernetesCluster,
) -> None:
    cluster.create(python(SLEEP))
    runs(cluster)
    cluster.cancel(NAME, 5)
    assert ends(cluster).exit_code == 143
    cluster.cancel(NAME, 5)
    cluster.cancel("run-nobody-1", 5)


def test_a_program_that_will_not_stop_is_killed_after_its_grace(
    cluster: KubernetesCluster, core: client.CoreV1Api, space: str
) -> None:
    code = STUBBORN + "import time; print('up', flush=True)\nwhile True: time.sleep(1)"
    cluster.create(python(code))
    runs(cluster)
    cluster.cancel(NAME, 1)
    assert ends(cluster).ended
    until("no pod is left", lambda: not alive(core, space), 30)


def alive(core: client.CoreV1Api, space: str) -> list[str]:
    pods = core.list_namespaced_pod(space).items
    return [pod.metadata.name for pod in pods if pod.status.phase in ("Pending", "Running")]


def test_a_forgotten_job_is_not_observed_and_never_started_again(
    cluster: KubernetesCluster, node: ProcessNode, core: client.CoreV1Api, space: str
) -> None:
    cluster.create(python("print('ran')"))
    ends(cluster)
    before = len(node.started)
    cluster.forget(NAME)
    cluster.forget(NAME)
    until("it is forgotten", lambda: cluster.observe() == {})
    cluster.create(python(SLEEP))
    assert cluster.observe() == {}
    assert len(node.started) == before
    secrets = [item.metadata.name for item in core.list_namespaced_secret(space).items]
    assert NAME not in secrets


@pytest.mark.parametrize(
    ("code", "phase"), [(0, "succeeded"), (3, "failed"), (75, "preempted"), (143, "failed")]
)
def test_the_exit_code_is_the_programs(cluster: KubernetesCluster, code: int, phase: str) -> None:
    cluster.create(python(f"print('a'); print('b'); raise SystemExit({code})"))
    status = ends(cluster)
    assert (status.phase, status.exit_code) == (phase, code)
    assert cluster.logs(NAME, 1) == ["b"]


def test_the_token_reaches_the_program_and_stands_in_no_job_or_pod(
    cluster: KubernetesCluster, core: client.CoreV1Api, batch: client.BatchV1Api, space: str
) -> None:
    cluster.create(python("import os; print(os.environ['BACKLINE_TOKEN'])"))
    # Read before anybody observes: on an old server the Secret goes when its pod has started.
    owners = core.read_namespaced_secret(NAME, space).metadata.owner_references
    assert [owner.name for owner in owners] == [NAME]
    ends(cluster)
    assert cluster.logs(NAME) == [TOKEN]
    shown = str(batch.read_namespaced_job(NAME, space)) + str(core.list_namespaced_pod(space))
    assert TOKEN not in shown


def test_logs_and_events_of_a_stranger_are_empty(cluster: KubernetesCluster) -> None:
    assert cluster.logs("run-nobody-1") == []
    assert cluster.events("run-nobody-1") == []


def test_what_the_cluster_did_for_a_job_is_told_as_events(
    cluster: KubernetesCluster, space: str
) -> None:
    cluster.create(python("print('ran')"))
    ends(cluster)
    until("events came", lambda: "Scheduled" in [e.reason for e in cluster.events(NAME)])
    told = [event.reason for event in cluster.events(NAME)]
    assert told.index("SuccessfulCreate") < len(told)
    assert NAME in cluster.look(NAME)
    assert space in cluster.look(NAME)


def test_out_of_memory_names_the_limit(cluster: KubernetesCluster, node: ProcessNode) -> None:
    cluster.create(python(SLEEP, memory_gb=3))
    runs(cluster)
    node.out_of_memory(node.started[-1])
    status = ends(cluster)
    assert status.phase == "failed"
    assert "3 GiB" in status.reason


def test_an_evicted_pod_is_no_failure_of_the_program(
    cluster: KubernetesCluster, node: ProcessNode
) -> None:
    cluster.create(python(SLEEP))
    runs(cluster)
    node.evict(node.started[-1])
    status = ends(cluster)
    assert status.phase in ("preempted", "lost")
    # "Evicted" of old servers is "ended by its node" of new ones; why is the kubelet's sentence.
    assert "low on resource: memory" in status.reason


def test_a_node_that_shuts_down_leaves_time_for_a_checkpoint(
    cluster: KubernetesCluster, node: ProcessNode
) -> None:
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(75))\n"
    cluster.create(python(code + SLEEP))
    runs(cluster)
    node.shut_down(node.started[-1], grace=20)
    assert ends(cluster).phase in ("preempted", "lost")


def test_an_image_that_cannot_be_pulled_is_a_reason_to_wait(
    cluster: KubernetesCluster, node: ProcessNode
) -> None:
    node.missing_images.add("nowhere/none:2")
    cluster.create(python("print('ran')", image="nowhere/none:2"))
    until("it says so", lambda: "nowhere/none:2" in one(cluster).reason)
    assert one(cluster).phase == "pending"
    node.missing_images.clear()
    assert ends(cluster).phase == "succeeded"


def test_too_many_gpus_are_a_reason_to_wait(cluster: KubernetesCluster) -> None:
    cluster.create(python("print('ran')", gpus=8))
    until("it says so", lambda: "nvidia.com/gpu" in one(cluster).reason)
    cluster.cancel(NAME, 0)
    assert ends(cluster).phase == "failed"


def test_a_gpu_type_chooses_the_node(
    cluster: KubernetesCluster, node: ProcessNode, spare: ProcessNode
) -> None:
    other = "run-0123456789ab-2"
    cluster.create(python(SLEEP, gpus=1, gpu_type=A100))
    cluster.create(python(SLEEP, name=other, gpus=1, gpu_type=H100))
    runs(cluster)
    runs(cluster, name=other)
    assert (one(cluster).node, one(cluster, other).node) == (spare.name, node.name)


def test_the_longest_duration_ends_a_job_and_is_named(cluster: KubernetesCluster) -> None:
    cluster.create(python(SLEEP, max_seconds=2))
    status = ends(cluster)
    assert status.phase == "failed"
    assert "longest duration" in status.reason


def test_an_absurd_job_is_refused_with_the_servers_sentence(cluster: KubernetesCluster) -> None:
    with pytest.raises(Refused, match=r"(?i)name"):
        cluster.create(python("print('never')", name="Not A Name"))


def test_many_nodes_on_a_server_without_indexed_jobs_are_refused_before_anything_is_made(
    cluster: KubernetesCluster, plane: ControlPlane, core: client.CoreV1Api, space: str
) -> None:
    if plane.version >= (1, 24):
        pytest.skip("This server has Indexed Jobs.")
    with pytest.raises(Refused, match="Indexed Jobs"):
        cluster.create(python(SLEEP, nodes=2))
    assert core.list_namespaced_service(space).items == []
    assert cluster.observe() == {}


def test_many_nodes_start_together_and_each_knows_its_rank(
    cluster: KubernetesCluster, plane: ControlPlane, spare: ProcessNode
) -> None:
    if plane.version < (1, 24):
        pytest.skip(f"Kubernetes {plane.version} has no Indexed Jobs.")
    code = "import os; print('rank', os.environ['JOB_COMPLETION_INDEX'], flush=True)"
    job = Job(name=NAME, command=("python3", "-c", code), nodes=2)
    cluster.create(job)
    assert ends(cluster).phase == "succeeded"
    assert sorted(line for line in cluster.logs(NAME) if "rank" in line)[-1].endswith("1")
