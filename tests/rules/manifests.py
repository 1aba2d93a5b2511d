"""Manifests of k8s/ as the tests read them: every object, and a kustomization as it is built."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
BASE, OVERLAYS = K8S / "base", K8S / "overlays"

Object = dict[str, Any]


def kustomizations() -> list[Path]:
    return sorted(K8S.rglob("kustomization.yaml"))


def read(path: Path) -> list[Object]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def objects(*folders: Path) -> list[Object]:
    """Every object of these folders, kustomizations and what fills them left out."""
    return [
        one
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
        for one in read(path)
        if one["kind"] != "Kustomization"
    ]


def of_kind(found: list[Object], *kinds: str) -> list[Object]:
    return [one for one in found if one["kind"] in kinds]


def pod_templates(found: list[Object]) -> list[tuple[str, Object]]:
    """Name and pod template of everything that makes pods."""
    makers = of_kind(found, "Deployment", "StatefulSet", "Job", "DaemonSet")
    return [(maker["metadata"]["name"], maker["spec"]["template"]) for maker in makers]


def containers(template: Object) -> list[Object]:
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def settings(path: Path) -> dict[str, str]:
    """An env file as kustomize reads it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


def env_files() -> list[Path]:
    return sorted([*K8S.rglob("settings.env"), *K8S.rglob("secrets.env.example")])


def build(
    overlay: str, folder: Path, secrets: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`kubectl kustomize` of a copy; with `secrets` as the overlay's secrets.env."""
    copy = folder / "k8s"
    shutil.copytree(K8S, copy, ignore=shutil.ignore_patterns("secrets.env"))
    if secrets is not None:
        (copy / "overlays" / overlay / "secrets.env").write_text(secrets)
    return subprocess.run(
        ["kubectl", "kustomize", str(copy / "overlays" / overlay)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
