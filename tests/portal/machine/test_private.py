"""STATE_DIR is the portal's own: 0700, and 0600 what lies in it."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from portal.machine import private

ROOT = Path(__file__).resolve().parents[3]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def start(code: str, folder: Path, *, umask: int = 0o022) -> str:
    """A process of the portal's, begun by somebody whose files everybody may read."""
    kept = {k: v for k, v in os.environ.items() if k not in {"STATE_DIR", "DATABASE_URL"}}
    done = subprocess.run(
        [sys.executable, *code.split()],
        cwd=ROOT,
        env=kept | {"STATE_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_portal_makes_nothing_that_others_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    start("manage.py migrate --verbosity 0 contenttypes", folder)
    start(f"manage.py backup {folder / 'copy.sqlite3'}", folder)
    made = {path.name for path in folder.iterdir()}
    assert {"backline.sqlite3", "secret_key", "audit_key", "copy.sqlite3"} <= made
    open_ones = private.open_to_others(folder)
    # The static files are nobody's secret, and closed by the folder that they lie in.
    assert open_ones in ([], [folder / "static"])
    assert mode(folder) == 0o700


@pytest.mark.parametrize("module", ["portal.asgi", "portal.beat"])
def test_each_process_begins_with_closed_files(tmp_path: Path, module: str) -> None:
    code = tmp_path / "begin.py"
    code.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport {module}, os\n"
                    "print(oct(os.umask(0)))")  # fmt: skip
    assert start(str(code), tmp_path / "state") == "0o77\n"


def test_a_worker_begins_with_closed_files(tmp_path: Path) -> None:
    code = tmp_path / "begin.py"
    code.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport portal.celery, os\n"
        "from celery.signals import celeryd_init as begins\n"
        "begins.send('w')\nprint(oct(os.umask(0)))"
    )
    assert start(str(code), tmp_path / "state") == "0o77\n"


def test_a_folder_from_before_is_mended(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    for name in ("blobs/aa", "jobs/spool/one", "logs", "backups"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("x")
        (folder / name / "file").chmod(0o664)
        (folder / name).chmod(0o775)
    (folder / "tool").write_text("x")
    (folder / "tool").chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    elsewhere.chmod(0o644)
    (folder / "link").symlink_to(elsewhere)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "redis.sock"))
        (folder / "redis.sock").chmod(0o777)
        private.close_folder(folder)
        assert private.close_contents(folder) >= 10
        assert private.open_to_others(folder) == []
        assert private.close_contents(folder) == 0
    assert mode(folder / "tool") == 0o700
    assert mode(elsewhere) == 0o644


def test_a_folder_of_everybodys_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(private.Shared, match="everybody's"):
        private.close_folder(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_another_user_comes_into_no_state() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may ask as somebody else")
    # Where everybody comes, unlike pytest's folders.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        way = Path(name)
        way.chmod(0o755)
        start("manage.py migrate --verbosity 0 contenttypes", way / "state")
        command = ["cat", str(way / "state" / "secret_key")]
        done = subprocess.run(
            command, user=65534, group=65534, extra_groups=[], capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, b"")
        (way / "state").chmod(0o755)
        (way / "state" / "secret_key").chmod(0o644)
        # As it would be without the modes that this is about.
        assert subprocess.run(
            command, user=65534, group=65534, extra_groups=[], capture_output=True, check=True
        ).stdout
