"""The cast: one fixed set of people, one project, and a storage folder that goes away."""

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.management import create_permissions
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from audio_samples.credentials import chain
from experiments.models import Membership, Project
from portal.models import Role, User
from tests import migrated

ROOT = Path(__file__).resolve().parents[1]
DAY = 24 * 3600

# Hypothesis fails an example of 0.2 s, and a strategy that is slow to draw from: on a busy machine
# that says nothing of either.
settings.register_profile(
    "busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")


# Programs in tests describe their code where that is what is tested: it takes half a second.
os.environ.setdefault("BACKLINE_CODE", "off")

PERMISSIONS = "django.contrib.auth.management.create_permissions"
# Fixtures that open the database.
DATABASES = {"db", "transactional_db", "live_server"}
# What has one world for the whole run, or measures what else the machine does, stays in one worker.
TOGETHER = ("cluster", "browser", "flow")


class Rooms(LoadScopeScheduling):
    """Shares out tests one by one, and the rooms that have to stay together as a whole.

    The groups of pytest-xdist (`--dist loadgroup`, version 3.8) have no effect with pytest 9: it
    writes them into names that pytest does not read any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _room(nodeid) or nodeid


def _room(nodeid: str) -> str:
    """Return the room that a test has to share a worker with, or nothing."""
    room = nodeid.removeprefix("tests/").partition("/")[0]
    return room if room in TOGETHER else ""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Rooms:
    return Rooms(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes hours runs only for who asks for it by name, and on PostgreSQL only what asks for
    a database. Workers share out the rest."""
    # What takes long is begun first, else all workers but one wait for it in the end.
    items.sort(
        key=lambda item: (
            not _room(item.nodeid),
            item.get_closest_marker("slow") is None,
        )
    )
    left = {item for item in items if not _is_for_this_run(item, config)}
    items[:] = [item for item in items if item not in left]
    if left:
        config.hook.pytest_deselected(items=list(left))


def _is_for_this_run(item: pytest.Item, config: pytest.Config) -> bool:
    if item.get_closest_marker("nasty") and "nasty" not in config.option.markexpr:
        return False
    if connection.vendor == "sqlite" or item.get_closest_marker("django_db"):
        return True
    if issubclass(getattr(item, "cls", None) or object, TransactionTestCase):
        return True
    return not DATABASES.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_collection_finish() -> None:
    """Modules and tests live to the end: the collector need not look at them after each test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """SQLite's test database is there before Django looks for it, and goes with pytest's folder."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """The test database is a copy of one that is migrated (tests/migrated.py). SQLite's is a file,
    as in production: one in memory would be one connection that every thread of a live server
    shares, and a page still loading would lock the next test."""
    test = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        folder = tmp_path_factory.mktemp("database")
        migrated.copy_to(folder)
        test["NAME"] = str(folder / "backline.sqlite3")
    else:
        test["TEMPLATE"] = os.environ.get(migrated.TEMPLATE_VARIABLE)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain to sign files with, as `manage.py credentials make` makes it."""
    folder = tmp_path_factory.mktemp("certificates") / "ours"
    chain.make(folder, "A Lab")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """Files are gone with their test, and disks are slow. A loss of power is played by who tests it
    (tests/backline/test_power.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_permissions_of_djangos_after_a_flush() -> Iterator[None]:
    """A test that commits empties the database, and Django would then enter anew four permissions
    on each model, which nobody reads here: roles say who may act (portal/models.py)."""
    post_migrate.disconnect(dispatch_uid=PERMISSIONS)
    yield
    post_migrate.connect(create_permissions, dispatch_uid=PERMISSIONS)


@pytest.fixture(autouse=True)
def _one_day_long() -> None:
    """What ends "today" has ended after midnight: a test that would begin just before it waits."""
    left = DAY - time.time() % DAY
    if left < 5:
        time.sleep(left)


@pytest.fixture(autouse=True)
def _own_folders(settings: LazySettings, tmp_path: Path, certificates: Path) -> None:
    settings.CREDENTIALS_DIR = certificates
    # Each client would look at every static file once, which is a tenth of a page's test.
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGE_DIR = tmp_path / "blobs"
    settings.ENDINGS_DIR = tmp_path / "endings"
    settings.LOCAL_JOBS_DIR = tmp_path / "jobs"
    settings.CLUSTER = "recording"
    settings.STRICT_TRANSACTIONS = True
    settings.CELERY_BROKER_URL = "memory://"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _tokens_that_spell_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has random tokens in it, and one of them had "EUR" in it where no page may."""
    monkeypatch.setattr("django.middleware.csrf.CSRF_ALLOWED_CHARS", "xz")


def person(username: str, name: str, *roles: Role) -> User:
    first, _, last = name.partition(" ")
    return User.objects.create_user(
        username=username,
        password="a long enough password",
        first_name=first,
        last_name=last,
        email=f"{username}@lab.example",
        roles=[role.value for role in roles],
    )


@pytest.fixture
def ada(db: None) -> User:
    """A researcher, owner of the project."""
    return person("ada", "Ada Okafor", Role.RESEARCHER)


@pytest.fixture
def ben(db: None) -> User:
    """A researcher of another project: what is Ada's is not his."""
    return person("ben", "Ben Sato", Role.RESEARCHER)


@pytest.fixture
def rosa(db: None) -> User:
    """A rights admin."""
    return person("rosa", "Rosa Lindqvist", Role.RIGHTS_ADMIN)


@pytest.fixture
def lou(db: None) -> User:
    """A listener."""
    return person("lou", "Lou Marchetti", Role.LISTENER)


@pytest.fixture
def noor(db: None) -> User:
    """A rightsholder."""
    return person("noor", "Noor Haddad", Role.RIGHTSHOLDER)


@pytest.fixture
def olga(db: None) -> User:
    """An operator."""
    return person("olga", "Olga Petrov", Role.OPERATOR)


@pytest.fixture
def project(ada: User) -> Project:
    made = Project.objects.create(slug="first-light", name="First light")
    Membership.objects.create(project=made, user=ada, level=Membership.Level.OWNER)
    return made
