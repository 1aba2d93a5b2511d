"""One control plane for the whole test run, two nodes with GPUs, a namespace for each test."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import yaml
from kubernetes import client

from tests import nursery as nurseries
from tests.cluster import api_door, control_plane, process_node
from tests.cluster.api_door import ApiDoor
from tests.cluster.control_plane import ControlPlane, until
from tests.cluster.lab import Lab, Web, serving
from tests.cluster.process_node import A100, ProcessNode
from tests.nursery import Nursery

# Every heartbeat of every node would be a line of a failed test's report.
logging.getLogger("httpx").setLevel(logging.WARNING)

NUMBERS = itertools.count(1)
# The name under which the portal's worker comes to the API server.
WORKER = "backline-worker"
ACCESS = process_node.ROOT / "k8s" / "base" / "runs" / "access.yaml"


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    programs = control_plane.assets()
    if programs is None:
        pytest.skip("KUBE_ASSETS names no folder with a control plane (tests/cluster/README.md).")
    made = ControlPlane(programs, tmp_path_factory.mktemp("plane"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def core(plane: ControlPlane) -> Iterator[client.CoreV1Api]:
    with plane.api() as api:
        yield client.CoreV1Api(api)


@pytest.fixture(scope="session")
def batch(core: client.CoreV1Api) -> client.BatchV1Api:
    return client.BatchV1Api(core.api_client)


@pytest.fixture(scope="session")
def node(plane: ControlPlane) -> Iterator[ProcessNode]:
    """A node with four GPUs that stays healthy; who lets one die takes `spare`."""
    with process_node.running(plane, "node-a", gpus=4) as made:
        yield made


@pytest.fixture
def spare(plane: ControlPlane) -> Iterator[ProcessNode]:
    """A node of the test's own, with a GPU of a type that no other node has."""
    with process_node.running(plane, f"spare-{next(NUMBERS)}", gpus=1, product=A100) as made:
        yield made


@pytest.fixture
def space(core: client.CoreV1Api) -> Iterator[str]:
    """A namespace; it goes in the background, which takes Kubernetes some seconds."""
    name = f"runs-{next(NUMBERS)}"
    core.create_namespace({"metadata": {"name": name}})
    with ExitStack() as afterwards:
        afterwards.callback(core.delete_namespace, name)
        accounts = core.list_namespaced_service_account
        until("the namespace has its service account", lambda: bool(accounts(name).items))
        _allow_worker(core.api_client, name)
        yield name


def _allow_worker(api: client.ApiClient, space: str) -> None:
    """The portal's worker gets the Role of the lab's own manifests, and no more."""
    (role,) = [one for one in yaml.safe_load_all(ACCESS.read_text()) if one["kind"] == "Role"]
    rbac = client.RbacAuthorizationV1Api(api)
    rbac.create_namespaced_role(space, role)
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": WORKER},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": group, "kind": "User", "name": WORKER}],
    }
    rbac.create_namespaced_role_binding(space, binding)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nurseries.running("tests.cluster.world", tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Web]:
    """The portal's web server with its own database, people and music."""
    with serving(tmp_path_factory.mktemp("web"), nursery) as made:
        yield made


@pytest.fixture
def door(plane: ControlPlane) -> Iterator[ApiDoor]:
    with api_door.opened(plane, WORKER) as made:
        yield made


@pytest.fixture
def lab(
    request: pytest.FixtureRequest,
    core: client.CoreV1Api,
    node: ProcessNode,
    web: Web,
    space: str,
) -> Iterator[Lab]:
    """The portal on this cluster, in the test's own namespace; where the test asks for a door,
    it stands between the portal's worker and the API server."""
    plane: ControlPlane = request.getfixturevalue("plane")
    door = request.getfixturevalue("door") if "door" in request.fixturenames else None
    access = plane.kubeconfig(WORKER, namespace=space, url=door.url if door else "")
    made = Lab(web, core, kubeconfig=access, namespace=space)
    made.nodes.append(node)
    try:
        yield made
    finally:
        made.close()
