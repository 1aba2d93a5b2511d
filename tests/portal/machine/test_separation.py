"""Which separation of own programs is in force, and what refuses to start."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import LazySettings

from portal import health
from portal.machine import separation
from portal.machine.separation import ProgramFolders, Separation

ROOT = Path(__file__).resolve().parents[3]


def refused(tmp_path: Path, **env: str) -> str:
    """The last line of a portal that does not start with these settings; empty if it does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LOCAL_")}
    kept |= {"STATE_DIR": str(tmp_path / "state"), **env}
    done = subprocess.run(
        [sys.executable, "-c", "import portal.settings"],
        cwd=ROOT, env=kept, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (done.stderr.strip().splitlines() or [""])[-1]


def test_own_programs_are_off_where_nobody_said_otherwise(settings: LazySettings) -> None:
    assert settings.LOCAL_PROGRAMS == "off"
    assert separation.find("off", "").why_not == separation.OFF
    settings.CLUSTER = "local"
    assert separation.why_not() == separation.OFF


def test_on_a_cluster_pods_separate_and_the_setting_says_nothing(settings: LazySettings) -> None:
    settings.CLUSTER = "kubernetes"
    assert separation.why_not() == ""
    assert "pod" in separation.words()


def test_the_words_say_what_trusted_means() -> None:
    assert "everything that the portal keeps" in separation.find("trusted", "").words


def test_where_nothing_separates_own_programs_are_refused_and_never_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr(os, "defpath", str(empty))
    found = separation.find("sandboxed", "")
    assert found.level == "off"
    assert "install bubblewrap" in found.why_not
    assert "bubblewrap:" in found.why_not


def test_a_sandbox_that_fails_leaves_the_next_level_and_says_so(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings, tmp_path: Path
) -> None:
    """A system may have the program and forbid its namespaces."""
    fake = tmp_path / "bin"
    fake.mkdir()
    sentence = "No permissions to create namespace"
    (fake / "bwrap").write_text(f"#!/bin/sh\necho '{sentence}' >&2; exit 1\n")
    (fake / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    settings.LOCAL_PROGRAMS_DIR = tmp_path / "programs"
    found = separation.find("sandboxed", "")
    assert found.level in {"user", "off"}
    assert sentence in found.words


def test_the_health_page_says_which_level_is_in_force(settings: LazySettings) -> None:
    settings.CLUSTER = "local"
    settings.LOCAL_PROGRAMS = "trusted"
    (found,) = health.own_programs()
    assert (found.good, found.sentence) == (True, separation.WORDS["trusted"])
    settings.CLUSTER = "kubernetes"
    assert health.own_programs() == []


def test_a_sandbox_names_what_it_shows_and_hides_what_is_the_portals(
    settings: LazySettings, tmp_path: Path
) -> None:
    lent = tmp_path / "lent"
    kept = lent / "kept"
    kept.mkdir(parents=True)
    settings.LOCAL_PROGRAMS_FOLDERS = [lent]
    settings.PRIVATE_FOLDERS = [kept]
    room = ProgramFolders(tmp_path / "job")
    words = separation.wrapped(Separation("sandbox"), ["python"], room)
    shown = {words[n + 1] for n, word in enumerate(words) if word == "--ro-bind-try"}
    assert str(lent) in shown
    assert str(separation.CLIENT) in shown
    assert not shown & {"/", "/etc", "/home", "/root", "/run", "/var", str(ROOT)}
    assert words[words.index(str(kept)) - 1] == "--tmpfs"
    written = {words[n + 1] for n, word in enumerate(words) if word == "--bind"}
    assert written == set(map(str, room.parts))


LOOKS = """
import os, sys
for path in sys.argv[1:]:
    try:
        open(path).close()
        print("read")
    except OSError as error:
        print(type(error).__name__)
print(len([one for one in os.listdir("/proc") if one.isdigit()]) < 10)
open("mine", "w").close()
"""


def test_a_portal_that_is_not_root_has_the_same_sandbox(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    """By namespaces of an ordinary user; here with a Python that every user comes to."""
    python = shutil.which("python3", path="/usr/bin")
    if os.geteuid() != 0 or python is None:
        pytest.skip("as an ordinary user every other test of the sandbox is this one")
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, name, "/usr")
    settings.LOCAL_PROGRAMS_FOLDERS = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        monkeypatch.setattr(separation, "CLIENT", Path(folder) / "client")
        secret = Path(folder) / "secret_key"
        secret.write_text("secret")
        room = ProgramFolders.made(Path(folder), Separation("sandbox"))
        for path in (Path(folder), secret, *room.parts):
            os.chown(path, 65534, 65534)
        look = [python, "-c", LOOKS, str(secret), "/etc/shadow", "/etc/passwd"]
        done = subprocess.run(
            separation.wrapped(Separation("sandbox"), look, room),
            user=65534, group=65534, extra_groups=[], cwd="/", env={"PATH": os.defpath},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "namespace" in done.stderr:
            pytest.skip(f"ordinary users have no namespaces here: {done.stderr.strip()}")
        assert done.stdout.split() == ["FileNotFoundError", "FileNotFoundError", "read", "True"]
        assert (room.folder / "work" / "mine").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LOCAL_PROGRAMS", "sure", "must be one of off, sandboxed, trusted"),
        ("LOCAL_PROGRAMS_USER", "nobody-of-that-name", "LOCAL_PROGRAMS_USER"),
        ("LOCAL_PROGRAMS_FOLDERS", "relative", "must be folders that exist"),
        ("LOCAL_PROGRAMS_FOLDERS", "/no/such/folder", "must be folders that exist"),
    ],
)
def test_nonsense_refuses_to_start(tmp_path: Path, name: str, text: str, words: str) -> None:
    said = refused(tmp_path, **{name: text})
    assert name in said
    assert words in said


def test_no_program_may_be_root(tmp_path: Path) -> None:
    said = refused(tmp_path, LOCAL_PROGRAMS_USER="root")
    assert "LOCAL_PROGRAMS_USER" in said


@pytest.mark.parametrize("lent", ["state", "state/blobs", "."])
def test_a_folder_with_the_portals_own_in_it_is_not_lent(tmp_path: Path, lent: str) -> None:
    (tmp_path / "state" / "blobs").mkdir(parents=True)
    said = refused(tmp_path, LOCAL_PROGRAMS_FOLDERS=str(tmp_path / lent))
    assert "would show programs" in said


def test_a_folder_with_a_secret_of_the_settings_in_it_is_not_lent(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "secret").write_text("x" * 50)
    said = refused(tmp_path, LOCAL_PROGRAMS_FOLDERS=str(keys), SECRET_KEY_FILE=str(keys / "secret"))
    assert "would show programs" in said
    assert refused(tmp_path, LOCAL_PROGRAMS_FOLDERS=str(keys)) == ""
