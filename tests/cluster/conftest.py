"""One control plane for the whole test run, two nodes with GPUs, a namespace for each test."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kubernetes import client

from tests.cluster import control_plane, process_node
from tests.cluster.control_plane import ControlPlane, until
from tests.cluster.process_node import ProcessNode

NUMBERS = itertools.count(1)


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
    name = f"spare-{next(NUMBERS)}"
    with process_node.running(plane, name, gpus=1, product=f"GPU-of-{name}") as made:
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
        yield name
