"""Long work stays out of transactions: the doors to it say so when somebody brings one along."""

import ast
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from audio_samples import analysis
from audio_samples.credentials import files
from experiments.alerts import outbound
from experiments.inbox import mails
from experiments.media import pictures
from portal import storage
from portal.database import long_work
from portal.models import User
from rights.catalogue import audio_intake
from rights.forms.repertoire import UploadForm
from tests.tones import tone
from workers.cluster.fake import RecordingCluster

pytestmark = pytest.mark.django_db

ROOMS = ("portal", "rights", "experiments", "audio_samples", "listening", "workers")
SHA = "0" * 64
DOORS = {
    "decode a recording": lambda: audio_intake.examine(tone(), filename="a.flac"),
    "decode a clip": lambda: analysis.decode(tone()),
    "decode a picture": lambda: pictures.look(b""),
    "store": lambda: storage.put(tone(), media_type="audio/flac"),
    "open": lambda: storage.open_blob(SHA),
    "read a span": lambda: storage.span(SHA, 0, 1),
    "look for": lambda: storage.exists(SHA),
    "remove": lambda: storage.remove(SHA),
    "read a credential": lambda: files.read(Path("none"), media_type="audio/wav", anchors=""),
    "ask the cluster": lambda: RecordingCluster().observe(),
    "send to a webhook": lambda: outbound.post("https://hooks.example.com/", b"", {}),
    "send mail": mails.send_due,
}
# What takes long by itself, and the modules that are doors to it: all call
# `forbid_in_transaction`.
LONG = {
    "av", "soundfile", "subprocess", "httpx", "httpcore", "smtplib", "requests", "urllib.request",
    "boto3", "kubernetes",
}  # fmt: skip
GUARDED = {
    "rights/catalogue/audio_intake.py",
    "audio_samples/analysis.py",
    "experiments/media/pictures.py",
    "audio_samples/credentials/files.py",
    "audio_samples/credentials/file_provenance.py",
    "workers/cluster/local.py",
    "experiments/alerts/outbound.py",
    "experiments/inbox/mails.py",
}
# Reached through a guarded door only, or never where there are transactions: each with its reason.
BEHIND = {
    # Its files come from storage.open_blob.
    "audio_samples/copy_check/dataset_index.py",
    "rights/catalogue/audio_previews.py",
    "rights/catalogue/sound_prints.py",
    "audio_samples/credentials/issuing.py",
    "portal/http/playing.py",
    # The store's own fittings, behind portal/storage/__init__.py.
    "portal/storage/s3.py",
    # They start and watch processes, and touch no rows.
    "portal/machine/separation.py",
    "portal/processes/supervisor.py",
    "portal/processes/embedded.py",
    "workers/cluster/supervise.py",
    # Behind the Protocol whose recording fitting is guarded.
    "workers/cluster/kubernetes.py",
    # Asks git once in a process, before its transaction.
    "experiments/runs/runs.py",
    # Writes the demo's music into memory before the transaction.
    "workers/demo/build.py",
}
COMPUTE = tuple(
    f"workers/{part}" for part in ("training", "generation", "evaluation", "data", "models", "run")
)


@pytest.mark.parametrize("name", DOORS)
def test_a_door_to_long_work_is_shut_inside_a_transaction(name: str) -> None:
    with transaction.atomic(), pytest.raises(long_work.InTransaction):
        DOORS[name]()


@pytest.mark.parametrize("name", ["decode a recording", "decode a clip", "store", "look for"])
def test_it_is_open_outside_of_one(name: str) -> None:
    DOORS[name]()


def test_where_people_work_it_is_a_line_in_the_log(
    settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STRICT_TRANSACTIONS = False
    with transaction.atomic():
        storage.exists(SHA)
    assert "inside a transaction" in caplog.text


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in LONG if any(f"{one}.".startswith(f"{name}.") for one in found)}


def modules_with_long_work() -> set[str]:
    root = settings.BASE_DIR
    names = {
        str(path.relative_to(root))
        for room in ROOMS
        for path in (root / room).rglob("*.py")
        if imported(path)
    }
    return {name for name in names if not name.startswith(COMPUTE)}


def test_whoever_does_long_work_is_behind_a_guarded_door() -> None:
    """A new module that decodes, calls out or starts programs is put into one of the two lists."""
    assert sorted(modules_with_long_work() - GUARDED - BEHIND) == []


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_a_guarded_door_calls_outside(name: str) -> None:
    assert "long_work.forbid_in_transaction(" in (settings.BASE_DIR / name).read_text(
        encoding="utf-8"
    )


def test_uploading_decodes_before_its_transaction(rosa: User) -> None:
    """The form that enters a work, a recording and a credit in one transaction."""
    form = UploadForm({"title": "Song", "new_work": "Song"}, {"file": upload()})
    assert form.is_valid(), form.errors
    assert form.save(by=rosa).works.get().title == "Song"


def upload() -> SimpleUploadedFile:
    return SimpleUploadedFile("song.flac", tone().read())
