"""What a program says of its code and environment: bounded, secrets masked, never in its way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backline import wire
from backline.environment import capture, code, machine
from backline.environment.masking import MASK, Masker, without_credentials
from experiments.models import Environment, Run
from tests.backline.script import Scripts

GIT = [
    "git",
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "commit.gpgsign=false",
]
SECRET = "hf_" + "a1B2c3D4e5F6g7H8i9J0"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text("rate = 0.1\n")
    (folder / ".env").write_text("PASSWORD=old\n")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "First")
    return folder


def read(folder: Path, **options: bool) -> wire.Code:
    return code.read(folder, masker=Masker(), **options)


def test_commit_branch_and_changes_are_read(repository: Path) -> None:
    git(
        repository,
        "remote",
        "add",
        "origin",
        "https://ada:secret-word@example.org/lab/code.git?x=1",
    )
    assert read(repository).changed == 0
    (repository / "train.py").write_text("rate = 0.2\n")
    (repository / "nöte.txt").write_text("new\n")
    found = read(repository)
    head = subprocess.run(
        [*GIT, "-C", str(repository), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.commit == head.stdout.strip()
    assert (found.branch, found.pushed, found.repository) == ("main", False, "code")
    assert found.remote == "https://example.org/lab/code.git"
    assert "-rate = 0.1\n+rate = 0.2" in found.diff
    assert (found.changed, found.untracked, found.diff_is_whole) == (1, ["nöte.txt"], True)
    assert read(repository, with_diff=False).diff == ""


def test_files_that_hold_secrets_by_their_names_are_named_and_not_sent(repository: Path) -> None:
    (repository / ".env").write_text("PASSWORD=new-and-private\n")
    (repository / "sub").mkdir()
    (repository / "sub" / "Server.PEM").write_text("private\n")
    git(repository, "add", "-A", "-f")
    found = read(repository)
    assert "private" not in found.diff
    assert sorted(found.private) == [".env", "sub/Server.PEM"]


def test_secrets_in_a_diff_are_masked(repository: Path) -> None:
    text = f'key = "{SECRET}"\npassword = "not-for-others"\nsteps = "keep-this-one"\n'
    (repository / "train.py").write_text(text)
    masker = Masker()
    found = code.read(repository, masker=masker)
    assert SECRET not in found.diff
    assert "not-for-others" not in found.diff
    assert "keep-this-one" in found.diff
    assert masker.count == 2


def test_a_long_diff_is_cut_at_a_line_and_says_so(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "train.py").write_text("x = 1\n" * 400_000)
    found = read(repository)
    assert not found.diff_is_whole
    assert len(found.diff) <= wire.MAX_DIFF
    assert found.diff.endswith("+x = 1\n")
    assert found.commit


def test_where_git_says_nothing_a_sentence_says_why(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(tmp_path).note == "The program does not lie in a git repository."
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert read(empty).note == "The repository empty has no commit yet."
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(code, "SECONDS", 0.2)
    assert read(repository).note == "git took too long to answer."
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read(repository).note == "git is not installed where the program runs."


def test_a_users_own_programs_for_diffs_are_not_started(repository: Path) -> None:
    marker = repository.parent / "started"
    for key in ("diff.external", "core.pager", "diff.x.textconv"):
        git(repository, "config", key, f"touch {marker};")
    (repository / ".gitattributes").write_text("*.py diff=x\n")
    (repository / "train.py").write_text("rate = 0.3\n")
    assert "+rate = 0.3" in read(repository).diff
    assert not marker.exists()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--token", "abc", "--lr", "0.1"], ["--token", MASK, "--lr", "0.1"]),
        (["--api-key=abc"], [f"--api-key={MASK}"]),
        (["wandb.key=abc", "model.lr=0.1"], [f"wandb.key={MASK}", "model.lr=0.1"]),
        (["--password", "--lr", "1"], ["--password", "--lr", "1"]),
        (["--key", "F#m", "--key=C major"], ["--key", "F#m", "--key=C major"]),
        (["--max-token", "512"], ["--max-token", "512"]),
        ([f"--note={SECRET}"], [f"--note={MASK}"]),
        (["--db", "postgres://u:pw@host/x"], ["--db", f"postgres://{MASK}@host/x"]),
        (["--keyboard", "piano", "--author", "Ada"], ["--keyboard", "piano", "--author", "Ada"]),
    ],
)
def test_values_of_options_that_name_secrets_are_masked(words: list[str], shown: list[str]) -> None:
    assert Masker().arguments(words) == shown


def test_a_programs_own_token_is_masked_wherever_it_stands() -> None:
    masker = Masker(["bl-very-own-token"])
    assert masker.text("curl -H 'bl-very-own-token' x") == f"curl -H '{MASK}' x"
    assert masker.arguments(["xbl-very-own-tokenx"]) == [f"x{MASK}x"]
    # A short text would be found in other words.
    assert Masker(["a"]).text("banana") == "banana"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:pw@host/x.git", "https://host/x.git"),
        ("https://token@host:8443/x", "https://host:8443/x"),
        ("git@github.com:lab/x.git", "git@github.com:lab/x.git"),
        ("ssh://git:pw@host/x", "ssh://git@host/x"),
        ("/srv/code", "/srv/code"),
    ],
)
def test_addresses_lose_their_credentials(address: str, shown: str) -> None:
    assert without_credentials(address) == shown


def test_only_listed_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert machine.variables()["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert set(machine.variables()) <= set(machine.VARIABLES)


def test_python_packages_and_machine_are_those_of_here() -> None:
    found = capture.collect(session="s", source="program")
    assert found.python.endswith(".".join(map(str, sys.version_info[:3])))
    assert found.packages["numpy"]
    assert found.hardware.threads >= 1
    assert found.hardware.memory_bytes > 10**8
    assert found.system
    gpus = machine.gpus_in("NVIDIA H200, 143771, 570.86\nNVIDIA H200, 143771, 570.86\n")
    assert (len(gpus), gpus[0].driver, gpus[0].memory_bytes) == (2, "570.86", 143771 * 2**20)


def test_packages_from_elsewhere_say_from_where(tmp_path: Path) -> None:
    assert machine._source('{"url": "file:///home/ada/x", "dir_info": {"editable": true}}') == (
        "a folder of its machine"
    )
    vcs = '{"url": "https://a:b@host/x.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}}'
    assert machine._source(vcs) == "git+https://host/x.git@ab12"
    assert machine._source(None) == ""


def test_it_can_be_switched_off_and_old_portals_get_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(capture.SETTING, raising=False)
    assert capture.is_wanted(["environment"])
    assert not capture.is_wanted([])
    monkeypatch.setenv(capture.SETTING, "off")
    assert not capture.is_wanted(["environment"])


@pytest.mark.django_db(transaction=True)
def test_a_script_reports_once_before_its_end(scripts: Scripts, repository: Path) -> None:
    shutil.copytree(repository / ".git", scripts.folder / ".git")
    scripts.extra["BACKLINE_CODE"] = "on"
    done = scripts.run(
        'run = backline.init(os.environ["PROJECT"], config={"lr": 0.1})\n'
        'run.log({"loss": 1.0})\n'
        "run.finish()\n"
    )
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    row = Environment.objects.get()
    assert (row.run, row.attempt) == (run, 1)
    assert row.session == run.sessions.get().name
    assert row.facts["entry"] == "script.py"
    assert row.facts["code"]["branch"] == "main"
    assert "train.py" in row.diff
    assert row.packages["numpy"]
    assert scripts.token not in str(row.facts) + row.diff
    assert run.state == Run.State.FINISHED


@pytest.mark.django_db(transaction=True)
def test_switched_off_nothing_arrives(scripts: Scripts) -> None:
    scripts.extra["BACKLINE_CODE"] = "off"
    assert scripts.run('backline.init(os.environ["PROJECT"]).finish()\n').returncode == 0
    assert Run.objects.get().state == Run.State.FINISHED
    assert not Environment.objects.exists()
