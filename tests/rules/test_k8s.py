"""The manifests hold together, promise no more rights than they state, and run as nobody."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal import settings as portal_settings
from tests.rules import manifests
from tests.rules.apiserver import Recorder
from tests.rules.manifests import BASE, K8S, OVERLAYS, ROOT, of_kind
from workers.cluster import Job
from workers.cluster.kubernetes import KubernetesCluster

ALL = manifests.objects(BASE, OVERLAYS)
PODS = manifests.pod_templates(ALL)
RUN = yaml.safe_load((K8S / "jobs" / "run.yaml").read_text())["spec"]["template"]
EVERY_POD = [*PODS, ("run", RUN)]
NAMED = {"ids": [name for name, _ in EVERY_POD]}
OVERLAY_NAMES = ["local", "production"]
NAME = "app.kubernetes.io/name"


def labels_of(name: str) -> dict[str, str]:
    return dict(PODS)[name]["metadata"]["labels"]


def selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        here = labels.get(rule["key"])
        if rule["operator"] == "In" and here not in rule["values"]:
            return False
        if rule["operator"] == "Exists" and here is None:
            return False
    return True


# --- Kustomize ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", manifests.kustomizations(), ids=lambda p: str(p.parent.relative_to(K8S))
)
def test_what_a_kustomization_names_is_there(path: Path) -> None:
    said = yaml.safe_load(path.read_text())
    for resource in said.get("resources", []):
        there = path.parent / resource
        assert (there / "kustomization.yaml" if there.is_dir() else there).exists(), resource
    for generator in said.get("configMapGenerator", []):
        assert all((path.parent / file).exists() for file in generator["envs"])
    # Every manifest of the folder is one of them: none lies there forgotten.
    lying = {file.name for file in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert lying <= set(said.get("resources", []))


def test_objects_have_names_of_their_own() -> None:
    names = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for folder in (BASE / "portal", BASE / "data", OVERLAYS / "local")
        for one in manifests.objects(folder)
    ]
    assert len(names) == len(set(names))


def test_patches_of_volumes_hit_the_one_they_mean() -> None:
    """The local overlay replaces a volume by its place in the list."""
    for name in ("web", "worker"):
        assert dict(PODS)[name]["spec"]["volumes"][1]["name"] == "state"


# --- Names and labels -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "maker", of_kind(ALL, "Deployment", "StatefulSet"), ids=lambda one: one["metadata"]["name"]
)
def test_what_makes_pods_finds_them_again(maker: dict[str, Any]) -> None:
    labels = maker["spec"]["template"]["metadata"]["labels"]
    assert selected(maker["spec"]["selector"], labels)
    assert labels[NAME] == maker["metadata"]["name"]


@pytest.mark.parametrize(
    "service", of_kind(ALL, "Service"), ids=lambda one: one["metadata"]["name"]
)
def test_services_lead_to_ports_of_pods(service: dict[str, Any]) -> None:
    template = dict(PODS)[service["metadata"]["name"]]
    assert selected({"matchLabels": service["spec"]["selector"]}, template["metadata"]["labels"])
    open_ports = {
        port["name"] for one in manifests.containers(template) for port in one.get("ports", [])
    }
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= open_ports


def test_accounts_secrets_and_settings_are_there() -> None:
    accounts = {one["metadata"]["name"] for one in of_kind(ALL, "ServiceAccount")}
    priorities = {one["metadata"]["name"] for one in of_kind(ALL, "PriorityClass")}
    for name, template in PODS:
        assert template["spec"]["serviceAccountName"] in accounts, name
        assert template["spec"]["priorityClassName"] in priorities, name
        mounted = {volume["name"] for volume in template["spec"].get("volumes", [])}
        claimed = {"data"} if name == "postgres" else set()
        for container in manifests.containers(template):
            wanted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert wanted <= mounted | claimed, name
    assert manifests.settings(BASE / "portal/settings.env")["KUBE_PRIORITY_CLASS"] in priorities


@pytest.mark.parametrize(
    "policy", of_kind(ALL, "NetworkPolicy"), ids=lambda one: one["metadata"]["name"]
)
def test_policies_name_pods_and_ports_that_exist(policy: dict[str, Any]) -> None:
    every = [template["metadata"]["labels"] for _, template in PODS]
    # The Job controller's own label, on pods of many nodes.
    every.append({NAME: "backline-run", "batch.kubernetes.io/job-completion-index": "0"})
    spec = policy["spec"]
    assert any(selected(spec["podSelector"], labels) for labels in every)
    for rule in spec.get("ingress", []) + spec.get("egress", []):
        for peer in rule.get("from", []) + rule.get("to", []):
            if "podSelector" in peer and peer["podSelector"] != {
                "matchLabels": {"k8s-app": "kube-dns"}
            }:
                assert any(selected(peer["podSelector"], labels) for labels in every)
            if "namespaceSelector" in peer:
                assert_namespace(peer["namespaceSelector"])


def assert_namespace(selector: dict[str, Any]) -> None:
    namespaces = [one["metadata"]["labels"] for one in of_kind(ALL, "Namespace")]
    theirs = [{"kubernetes.io/metadata.name": "ingress-nginx"}]
    assert any(selected(selector, labels) for labels in namespaces + theirs)


# --- Settings -------------------------------------------------------------------------------


def documented() -> set[str]:
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `?([A-Z][A-Z_]+)`? \|", text, re.MULTILINE))


@pytest.mark.parametrize("file", manifests.env_files(), ids=lambda p: str(p.relative_to(K8S)))
def test_settings_of_manifests_are_documented(file: Path) -> None:
    names = manifests.settings(file)
    known = documented() | {"POSTGRES_PASSWORD"}
    assert [name for name in names if not {name, name.removesuffix("_FILE")} & known] == []


def test_variables_of_containers_are_documented() -> None:
    names = {
        one["name"]
        for _, template in EVERY_POD
        for container in manifests.containers(template)
        for one in container.get("env", [])
    }
    assert sorted(names - documented()) == []


@pytest.mark.parametrize("overlay", OVERLAY_NAMES)
def test_secrets_that_settings_point_to_are_those_that_are_asked_for(overlay: str) -> None:
    said = manifests.settings(BASE / "portal/settings.env")
    said |= manifests.settings(OVERLAYS / overlay / "settings.env")
    files = {
        Path(value).name
        for name, value in said.items()
        if name.endswith("_FILE") and "/run/secrets" in value
    }
    asked = manifests.settings(OVERLAYS / overlay / "secrets.env.example")
    assert files | ({"POSTGRES_PASSWORD"} if overlay == "local" else set()) == set(asked)


@pytest.mark.parametrize("overlay", OVERLAY_NAMES)
def test_no_secret_is_in_git(overlay: str) -> None:
    example = manifests.settings(OVERLAYS / overlay / "secrets.env.example")
    assert all(portal_settings.PLACEHOLDER in value for value in example.values())
    assert of_kind(ALL, "Secret") == []
    assert "k8s/overlays/*/secrets.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_runs_reach_the_address_that_the_service_has() -> None:
    said = manifests.settings(BASE / "portal/settings.env")
    namespace = yaml.safe_load((BASE / "portal/kustomization.yaml").read_text())["namespace"]
    host = said["RUN_PORTAL_URL"].removeprefix("http://")
    assert host == f"web.{namespace}.svc"
    for overlay in OVERLAY_NAMES:
        hosts = manifests.settings(OVERLAYS / overlay / "settings.env")["ALLOWED_HOSTS"].split(",")
        # The second is the name under which the kubelet's probes come.
        assert {host, "127.0.0.1"} <= set(hosts)


# --- Pods -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("_name", "template"), EVERY_POD, **NAMED)
def test_pods_are_restricted(_name: str, template: dict[str, Any]) -> None:
    """The pod security standard `restricted`, and a root that is read-only."""
    spec = template["spec"]
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all(
        set(volume) & {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}
        for volume in spec.get("volumes", [])
    )
    for container in manifests.containers(template):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in context


@pytest.mark.parametrize(("name", "template"), EVERY_POD, **NAMED)
def test_only_the_worker_has_a_token_of_the_cluster(name: str, template: dict[str, Any]) -> None:
    assert template["spec"]["automountServiceAccountToken"] is (name == "worker")


@pytest.mark.parametrize(("name", "template"), PODS, ids=[name for name, _ in PODS])
def test_containers_say_what_they_need_and_how_they_are(
    name: str, template: dict[str, Any]
) -> None:
    for container in manifests.containers(template):
        asked = container["resources"]
        assert {"cpu", "memory"} <= set(asked["requests"])
        assert "memory" in asked["limits"]
        # A run that computes for others must not be slowed down; nor must these.
        assert "cpu" not in asked["limits"]
    if name != "migrate":
        for container in template["spec"]["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_probes_ask_for_pages_that_answer() -> None:
    web = dict(PODS)["web"]["spec"]["containers"][0]
    assert web["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert (ROOT / web["livenessProbe"]["httpGet"]["path"].lstrip("/")).exists()


def test_there_is_one_clock() -> None:
    clock = next(one for one in of_kind(ALL, "Deployment") if one["metadata"]["name"] == "clock")
    assert clock["spec"]["replicas"] == 1
    assert clock["spec"]["strategy"] == {"type": "Recreate"}


def test_namespaces_enforce_the_restricted_standard() -> None:
    for one in of_kind(ALL, "Namespace"):
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAY_NAMES)
def test_images_are_named_by_version_or_digest(overlay: str) -> None:
    said = yaml.safe_load((OVERLAYS / overlay / "kustomization.yaml").read_text())
    given = {one["name"]: one.get("digest") or one.get("newTag") for one in said["images"]}
    folders = [K8S / "overlays" / overlay / resource for resource in said["resources"]]
    used = {
        container["image"]
        for _, template in manifests.pod_templates(
            manifests.objects(*[f for f in folders if f.is_dir()])
        )
        for container in manifests.containers(template)
    }
    assert used == set(given)
    for version in given.values():
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|\d+\.\d+(\.\d+)?(-\w+)?", version)
    run_image = manifests.settings(OVERLAYS / overlay / "settings.env")["RUN_IMAGE"]
    assert re.search(r":\d+\.\d+\.\d+$|@sha256:", run_image)
    assert overlay == "local" or "@sha256:" in run_image


# --- Rights ---------------------------------------------------------------------------------


@pytest.fixture
def api_server() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


STATED = {
    "jobs": {"get", "list", "watch", "create", "patch", "delete"},
    "pods": {"get", "list", "watch", "delete"},
    "pods/log": {"get"},
    "services": {"get", "list", "watch", "create", "patch", "delete"},
    "secrets": {"get", "create", "patch", "delete"},
    "events": {"get", "list", "watch"},
    "workloads": {"get", "list", "watch"},
    "localqueues/pendingworkloads": {"get"},
}


def test_the_worker_may_do_what_is_stated_and_no_more() -> None:
    roles = of_kind(ALL, "Role", "ClusterRole")
    assert [(role["kind"], role["metadata"]["name"]) for role in roles] == [
        ("Role", "backline-worker")
    ]
    granted = {
        resource: set(rule["verbs"]) for rule in roles[0]["rules"] for resource in rule["resources"]
    }
    assert granted == STATED


def a_worker(server: Recorder) -> KubernetesCluster:
    return KubernetesCluster(server.client(), namespace="backline-runs", image="run:1")


def test_the_worker_asks_the_cluster_for_nothing_else(api_server: Recorder) -> None:
    """Every request that workers/cluster makes, against a server that writes them down."""
    cluster = a_worker(api_server)
    for nodes in (1, 2):
        job = Job("run-1-1", ("python",), env={"BACKLINE_TOKEN": "t"}, nodes=nodes, queue="q")
        cluster.create(job)
        # The same once more, as after a lost answer.
        api_server.conflict = True
        cluster.create(job)
        api_server.conflict = False
        cluster.observe()
        cluster.events(job.name)
        cluster.logs(job.name)
        cluster.cancel(job.name, grace=10)
    cluster.close()
    # Another worker, which finds the Job ended and a pod that takes its time.
    api_server.job_failed = True
    cluster = a_worker(api_server)
    cluster.observe()
    cluster.forget(job.name)
    cluster.close()
    assert {("jobs", "create"), ("secrets", "patch"), ("pods", "delete")} <= api_server.asked
    beyond = {one for one in api_server.asked if one[1] not in STATED.get(one[0], set())}
    assert beyond == set()


def test_the_role_is_of_the_runs_namespace_and_the_workers_alone() -> None:
    bindings = of_kind(ALL, "RoleBinding", "ClusterRoleBinding")
    assert [binding["kind"] for binding in bindings] == ["RoleBinding"]
    portal = yaml.safe_load((BASE / "portal/kustomization.yaml").read_text())["namespace"]
    assert bindings[0]["subjects"] == [
        {"kind": "ServiceAccount", "name": "worker", "namespace": portal}
    ]
    assert bindings[0] in manifests.objects(BASE / "runs")
    runs = yaml.safe_load((BASE / "runs/kustomization.yaml").read_text())["namespace"]
    assert manifests.settings(BASE / "portal/settings.env")["KUBE_NAMESPACE"] == runs


# --- Networks -------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["portal", "runs"])
def test_nothing_is_open_that_no_policy_opens(part: str) -> None:
    policies = of_kind(manifests.objects(BASE / part), "NetworkPolicy")
    deny = next(policy for policy in policies if policy["metadata"]["name"] == "default-deny")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_runs_reach_the_web_server_names_and_each_other_alone() -> None:
    policies = of_kind(manifests.objects(BASE / "runs"), "NetworkPolicy")
    assert {policy["metadata"]["name"] for policy in policies} == {
        "default-deny",
        "dns",
        "runs-to-web",
        "many-nodes",
    }
    web = next(policy for policy in policies if policy["metadata"]["name"] == "runs-to-web")
    (rule,) = web["spec"]["egress"]
    (peer,) = rule["to"]
    assert selected(peer["podSelector"], labels_of("web"))
    assert not any(
        selected(peer["podSelector"], labels_of(name)) for name in ("postgres", "redis", "worker")
    )
    assert rule["ports"] == [{"port": 8000}]


# --- As built -------------------------------------------------------------------------------

needs_kubectl = pytest.mark.skipif(
    not shutil.which("kubectl"), reason="kubectl is not installed: overlays are read, not built."
)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAY_NAMES)
def test_an_overlay_refuses_until_its_secrets_are_there(overlay: str, tmp_path: Path) -> None:
    refused = manifests.build(overlay, tmp_path)
    assert refused.returncode != 0
    assert "secrets.env" in refused.stderr


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAY_NAMES)
def test_an_overlay_builds(overlay: str, tmp_path: Path) -> None:
    example = (OVERLAYS / overlay / "secrets.env.example").read_text()
    built = manifests.build(overlay, tmp_path, example)
    assert built.returncode == 0, built.stderr
    found = [one for one in yaml.safe_load_all(built.stdout) if one]
    runs = [one for one in found if one["metadata"].get("namespace") == "backline-runs"]
    assert {"Role", "RoleBinding", "ResourceQuota", "LimitRange"} <= {run["kind"] for run in runs}
    for _, template in manifests.pod_templates(found):
        for container in manifests.containers(template):
            assert re.search(r":\d|@sha256:", container["image"])
    (config,) = of_kind(found, "ConfigMap")
    assert config["data"]["CLUSTER"] == "kubernetes"
    assert "RUN_IMAGE" in config["data"]


@pytest.mark.parametrize("name", ["SECRET_KEY", "RUN_IMAGE"])
def test_a_placeholder_does_not_start(name: str, tmp_path: Path) -> None:

    done = subprocess.run(
        [sys.executable, "-c", "import portal.settings"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "STATE_DIR": str(tmp_path), name: "x-FILL-ME-IN"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert f"{name} still holds FILL-ME-IN" in done.stderr


def test_queues_for_an_older_kueue_are_the_same_but_for_their_version() -> None:
    new = (BASE / "kueue" / "queues.yaml").read_text()
    old = (BASE / "kueue-before-0.15" / "queues.yaml").read_text()
    group = "kueue.x-k8s.io"
    assert f"{group}/v1beta1" not in new
    assert old == new.replace(f"{group}/v1beta2", f"{group}/v1beta1")
