"""Files that leave the portal say whose music is behind them, and are known when they come back."""

import io
import json
import socket
import threading
from pathlib import Path

import c2pa
import numpy as np
import pytest
import soundfile
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from audio import sound_digest as sound
from audio.decoding import BadAudio
from audio_samples import samples
from audio_samples.credentials import chain, checking, files, issuing
from audio_samples.credentials.checking import KnownBy
from audio_samples.credentials.manifest import GENERATED, LABEL
from audio_samples.credentials.tool import settings as library_settings
from audio_samples.descendants import Samples
from audio_samples.models import Credential, Sample
from audio_samples.reviews import flags
from backline import uses, wire
from experiments.deliveries import usage_report
from experiments.models import Project, Run
from experiments.runs import runs
from portal import audit
from portal.models import User
from rights.grants import lifecycle
from rights.models import Party, Recording, WithdrawalPolicy
from rights.tdm import reservations
from rights.usage import crediting
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed, make_party, make_recording
from tests.experiments.publishing.test_transparency import signed
from tests.tones import tone


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@pytest.fixture
def run(ada: User, project: Project, recordings: list[Recording]) -> Run:
    return make_run(ada, project, recordings)


@pytest.fixture
def sample(run: Run) -> Sample:
    return make_sample(run, file=tone(seconds=0.6, format="WAV"))


def given(sample: Sample, by: User) -> tuple[Credential, bytes]:
    """The row and the file's bytes."""
    made = issuing.download(Sample.objects.get(pk=sample.pk), by=by)
    with made.file:
        return made.credential, made.file.read()


def reading(data: bytes, tmp_path: Path, media_type: str = "audio/wav") -> files.Reading:
    path = tmp_path / "given"
    path.write_bytes(data)
    return files.read(path, media_type=media_type, anchors=chain.anchors())


def check(data: bytes) -> checking.Finding:
    return checking.check(io.BytesIO(data))


def decoded(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]


def rewritten(data: bytes, **how: str) -> bytes:
    """As an editor saves it: the same sound in a new file, and nothing else of the old one."""
    audio, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    file = io.BytesIO()
    soundfile.write(file, audio, rate, **how)
    return file.getvalue()


def post(user: User, data: bytes) -> str:
    client = Client()
    client.force_login(user)
    upload = io.BytesIO(data)
    upload.name = "found.wav"
    return client.post(reverse("audio_samples:check"), {"file": upload}).content.decode()


# --- What is said ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "media_type"),
    [
        ("WAV", "audio/wav"),
        ("FLAC", "audio/flac"),
        ("MP3", "audio/mpeg"),
        # Neither can hold a credential.
        ("OGG", "audio/flac"),
        ("RF64", "audio/flac"),
    ],
)
def test_a_file_of_any_format_says_by_which_statement_it_is_credited(
    ada: User, run: Run, written: str, media_type: str, tmp_path: Path
) -> None:
    original = tone(seconds=0.6, format=written).getvalue()
    sample = make_sample(run, file=io.BytesIO(original))
    credential, data = given(sample, ada)
    found = reading(data, tmp_path, media_type)
    assert found.state == "Trusted"
    said = found.assertions[LABEL]
    sample.refresh_from_db()
    assert sample.credit is not None
    assert said["statement"] == sample.credit_id == crediting.digest(sample.credit.canonical())
    assert (said["credential"], said["recordings"]) == (str(credential.pk), 2)
    # A 24-bit file holds what Ogg decodes to up to its last bit.
    np.testing.assert_allclose(decoded(data), decoded(original), rtol=0, atol=2**-23)
    assert (check(data).known_by, check(data).credentials) == (KnownBy.SIGNED, [credential])


def test_it_says_that_a_machine_made_it_and_that_nobody_may_train_on_it(
    ada: User, sample: Sample, tmp_path: Path
) -> None:
    said = reading(given(sample, ada)[1], tmp_path).assertions
    first = said["c2pa.actions.v2"]["actions"][0]
    assert first["action"] == "c2pa.created"
    assert first["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    entries = said[reservations.LABEL]["entries"]
    # Our own reader of such assertions, in other people's files, takes it.
    assert len(reservations.read_assertion(json.dumps(said[reservations.LABEL]).encode())) == len(
        entries
    )
    assert {key: entry["use"] for key, entry in entries.items()} == dict.fromkeys(
        uses.CAWG_KEYS, "notAllowed"
    )


def test_the_newest_signed_root_of_the_log_stands_in_it(
    ada: User, sample: Sample, tmp_path: Path
) -> None:
    root = audit.sign_root()
    assert root is not None
    log = reading(given(sample, ada)[1], tmp_path).assertions[LABEL]["log"]
    assert (log["size"], log["root"]) == (root.size, root.root)


def test_artists_are_named_as_they_chose_and_nobody_else_is(
    ada: User, rosa: User, project: Project, tmp_path: Path
) -> None:
    # Three letters are found in any bytes, once in a while.
    ada.username = "ada.of.the.secret.team"
    ada.save()
    run = make_run(ada, project, make_allowed(rosa, 1) + make_allowed(rosa, 1))
    sample = make_sample(run, prompt="a secret prompt", name="final/secret name/0")
    first, second = (Party.objects.get(pk=pk) for pk in crediting.artists(_lines(sample)))
    first.public_credit, first.public_wording = Party.PublicCredit.WORDING, "A voice of the north"
    second.public_credit = Party.PublicCredit.UNNAMED
    first.save()
    second.save()
    _, data = given(sample, ada)
    assert reading(data, tmp_path, "audio/flac").assertions[LABEL]["named"] == [
        "A voice of the north"
    ]
    for private in (
        first.name, second.name, ada.username, ada.last_name, run.project.name, run.name,
        "secret prompt", "secret name",
    ):  # fmt: skip
        assert private.encode() not in data


def _lines(sample: Sample) -> list[crediting.CreditLine]:
    assert sample.credit is not None
    return sample.credit.read().lines


def test_the_next_file_has_the_credits_that_the_ledger_has_by_then(
    ada: User, run: Run, sample: Sample, recordings: list[Recording]
) -> None:
    before, _ = given(sample, ada)
    used = wire.UsageLine(recording=recordings[0].pk, examples=4, seconds=8.0)
    usage_report.report(run, wire.UsageReport(step=1, lines=[used]))
    after, data = given(sample, ada)
    assert before.statement_id != after.statement_id
    sample.refresh_from_db()
    assert sample.credit_id == after.statement_id
    assert check(data).credentials == [after]
    client = Client()
    client.force_login(ada)
    pages = [client.get(one.get_absolute_url()).content.decode() for one in (before, after)]
    assert ["has grown since" in page for page in pages] == [True, False]


def test_a_run_without_music_credits_nobody(ada: User, project: Project, tmp_path: Path) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    _, data = given(make_sample(run), ada)
    said = reading(data, tmp_path, "audio/flac").assertions[LABEL]
    assert (said["statement"], said["recordings"], said["named"]) == ("", 0, [])
    assert check(data).known_by == KnownBy.SIGNED


def test_a_credential_that_the_clip_came_with_stays_in_its_history(
    ada: User, run: Run, tmp_path: Path
) -> None:
    theirs = signed_by(tmp_path / "theirs", tone(seconds=0.6, format="WAV").getvalue(), {})
    _, data = given(make_sample(run, file=io.BytesIO(theirs)), ada)
    found = reading(data, tmp_path)
    assert found.state == "Trusted"
    assert [one["action"] for one in found.assertions["c2pa.actions.v2"]["actions"]] == [
        "c2pa.opened"
    ]
    assert found.assertions[LABEL]["statement"]


# --- Files that come back ----------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"format": "WAV"}, {"format": "FLAC"},
                                 {"format": "WAV", "subtype": "PCM_24"}])  # fmt: skip
def test_a_stripped_file_is_known_by_its_sound_and_its_manifest_is_kept(
    ada: User, sample: Sample, how: dict[str, str]
) -> None:
    credential, data = given(sample, ada)
    bare = rewritten(data, **how)
    found = check(bare)
    assert (found.known_by, found.credentials) == (KnownBy.SOUND, [credential])
    assert not found.invalid
    # The whole of what the file had carried.
    assert bytes(Credential.objects.get(pk=credential.pk).manifest) in data


def test_two_samples_that_sound_the_same_are_both_told(ada: User, run: Run) -> None:
    both = [
        given(make_sample(run, name=name, file=tone(format="WAV")), ada) for name in ("one", "two")
    ]
    found = check(rewritten(both[0][1], format="FLAC"))
    assert {one.pk for one in found.credentials} == {credential.pk for credential, _ in both}
    assert "downloaded 2 times" in post(ada, rewritten(both[0][1], format="WAV"))


def test_a_changed_file_does_not_hold(ada: User, sample: Sample) -> None:
    _, data = given(sample, ada)
    torn = bytearray(data)
    torn[5000] ^= 0x40
    found = check(bytes(torn))
    assert (found.known_by, found.invalid) == (KnownBy.NOTHING, True)
    page = post(ada, bytes(torn))
    assert "the file was changed after it was signed" in page
    assert "cannot be relied on" in page


def test_another_sound_is_not_known(ada: User, sample: Sample) -> None:
    given(sample, ada)
    assert (
        check(tone(seconds=0.6, amplitude=0.2, format="WAV").getvalue()).known_by == KnownBy.NOTHING
    )


def test_a_stranger_s_credential_is_not_ours_whatever_it_says(
    ada: User, sample: Sample, tmp_path: Path
) -> None:
    credential, _ = given(sample, ada)
    claim = {"credential": str(credential.pk), "statement": credential.statement_id}
    other = tone(seconds=0.6, frequency=900, format="WAV").getvalue()
    forged = signed_by(tmp_path / "stranger", other, claim)
    found = check(forged)
    assert (found.known_by, found.unrecognised, found.credentials) == (KnownBy.NOTHING, True, [])
    assert "whom this portal does not know" in post(ada, forged)


def test_a_trusted_signer_other_than_the_row_s_is_not_believed(
    ada: User, sample: Sample, tmp_path: Path, settings: LazySettings, certificates: Path
) -> None:
    """Whoever has a certificate under one of our anchors may sign, and not in our name."""
    credential, _ = given(sample, ada)
    claim = {"credential": str(credential.pk), "statement": credential.statement_id}
    forged = signed_by(tmp_path / "partner", tone(frequency=900, format="WAV").getvalue(), claim)
    both = tmp_path / "both"
    both.mkdir()
    for name in ("chain.pem", "key.pem", "anchors.pem"):
        (both / name).write_bytes((certificates / name).read_bytes())
    with (both / "anchors.pem").open("ab") as file:
        file.write((tmp_path / "partner" / "anchors.pem").read_bytes())
    settings.CREDENTIALS_DIR = both
    assert reading(forged, tmp_path).state == "Trusted"
    assert check(forged).credentials == []


def signed_by(folder: Path, data: bytes, claim: dict[str, str | None]) -> bytes:
    """The file with a credential of somebody else's."""
    chain.make(folder, "Somebody else")
    source, target = folder / "source.wav", folder / "signed.wav"
    source.write_bytes(data)
    created = {"action": "c2pa.created", "digitalSourceType": GENERATED}
    files.sign(
        source,
        target,
        media_type="audio/wav",
        manifest={
            "claim_generator_info": [{"name": "Other software"}],
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
                {"label": LABEL, "data": claim},
            ],
        },
        chain=chain.Chain(
            (folder / "chain.pem").read_text(),
            folder / "key.pem",
            (folder / "anchors.pem").read_text(),
        ),
    )
    return target.read_bytes()


def test_no_address_in_a_file_is_ever_asked(db: None, tmp_path: Path) -> None:
    """The library's default fetches a manifest from wherever a file says that it is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        data = pointing_at(url, tmp_path)
        assert url.encode() in data
        came: list[str] = []

        def answer() -> None:
            connection, _ = server.accept()
            came.append(connection.recv(100).decode())
            connection.close()

        listening = threading.Thread(target=answer)
        listening.start()
        assert check(data).known_by == KnownBy.NOTHING
        # Ours is the first to come by.
        with socket.create_connection(server.getsockname()) as ours:
            ours.sendall(b"nobody else")
        listening.join()
    assert came == ["nobody else"]


def pointing_at(url: str, tmp_path: Path) -> bytes:
    chain.make(tmp_path / "remote", "Somebody else")
    text = {
        name: (tmp_path / "remote" / f"{name}.pem").read_text()
        for name in ("chain", "key", "anchors")
    }
    context = c2pa.Context(c2pa.Settings.from_dict(library_settings(text["anchors"])))
    builder = c2pa.Builder(
        {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [
            {"action": "c2pa.created", "digitalSourceType": GENERATED}]}}]},
        context=context,
    )  # fmt: skip
    builder.set_no_embed()
    builder.set_remote_url(url)
    info = c2pa.C2paSignerInfo(
        c2pa.C2paSigningAlg.ES256, text["chain"].encode(), text["key"].encode(), None
    )
    source, target = tone(seconds=0.6, format="WAV"), io.BytesIO()
    builder.sign(c2pa.Signer.from_info(info), "audio/wav", source, target)
    return target.getvalue()


@pytest.mark.parametrize("tail", [b"C2PA\xff\xff\xff\xff", b"C2PA\x10\x00\x00\x00" + b"\xff" * 16])
def test_a_broken_manifest_in_good_audio_is_no_error(tail: bytes, db: None) -> None:
    data = bytearray(tone(seconds=0.6, format="WAV").getvalue() + tail)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    assert check(bytes(data)).known_by == KnownBy.NOTHING


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3" + b"\xff" * 400, b"no audio at all"])
def test_what_is_no_audio_is_refused_with_a_sentence(ada: User, data: bytes) -> None:
    with pytest.raises(BadAudio):
        check(data)
    assert "could not be decoded" in post(ada, data)


# --- Who gets it -------------------------------------------------------------------------------


def test_a_download_is_signed_named_and_written_down(ada: User, sample: Sample) -> None:
    client = Client()
    client.force_login(ada)
    answer = client.post(reverse("audio_samples:download", args=[sample.pk]))
    data = b"".join(answer.streaming_content)
    assert answer["Content-Type"] == "audio/wav"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Length"] == str(len(data))
    credential = check(data).credentials[0]
    assert (credential.sample, credential.by) == (sample, ada)
    line = audit.history(sample).first()
    assert (line.verb, line.actor) == ("sample.given_out", ada)
    page = client.get(sample.get_absolute_url()).content.decode()
    assert "1 time," in page
    assert str(credential.pk) in page
    kept = client.get(reverse("audio_samples:credential_file", args=[credential.pk]))
    assert kept.content in data


def test_a_case_says_how_often_a_sample_was_given_out(ada: User, sample: Sample) -> None:
    for _ in range(2):
        given(sample, ada)
    node = Samples().now([str(sample.pk)])[str(sample.pk)]
    assert node.label.endswith("downloaded 2 times")


def test_what_is_withheld_is_not_given_out(ada: User, rosa: User, sample: Sample) -> None:
    samples.withhold(sample, by=rosa, reason="Not good.")
    client = Client()
    client.force_login(ada)
    answer = client.post(reverse("audio_samples:download", args=[sample.pk]))
    assert (answer.status_code, answer.content) == (410, b"Withheld: Not good.")
    assert not Credential.objects.exists()


def test_what_is_withheld_while_it_is_signed_is_not_given_out(
    ada: User, rosa: User, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = files.sign

    def slowly(*args: object, **kwargs: object) -> bytes:
        samples.withhold(sample, by=rosa, reason="Not good.")
        return sign(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "sign", slowly)
    client = Client()
    client.force_login(ada)
    answer = client.post(reverse("audio_samples:download", args=[sample.pk]))
    assert (answer.status_code, answer.content) == (410, b"Withheld: Not good.")
    assert not Credential.objects.exists()
    assert audit.history(sample).first().verb == "sample.withheld"


def test_a_file_that_came_back_says_that_it_was_recalled(
    ada: User, rosa: User, sample: Sample
) -> None:
    _, data = given(sample, ada)
    samples.withhold(sample, by=rosa, reason="Private words.")
    page = post(ada, data)
    assert "It was made here, and is as it left." in page
    assert "should not play or pass it on" in page
    assert "Private words" not in page


def test_each_person_reads_of_a_file_what_is_theirs_to_know(
    ada: User, ben: User, sample: Sample, recordings: list[Recording]
) -> None:
    credential, data = given(sample, ada)
    address = sample.get_absolute_url()
    own, other = post(ada, data), post(ben, data)
    for page in (own, other):
        assert "It was made here, and is as it left." in page
        assert credential.statement_id in page
    assert address in own
    assert ada.display_name in own
    assert address not in other
    # Ben's own name is in the menu; nobody's who took the file.
    assert ada.display_name not in other
    assert sample.run.project.name not in other
    assert sample.prompt not in other


def test_a_holder_is_led_to_their_own_page_of_it(
    noor: User, ada: User, sample: Sample, recordings: list[Recording]
) -> None:
    party = recordings[0].splits.get().lines.get().party
    party.people.add(noor)
    _, data = given(sample, ada)
    page = post(noor, data)
    assert reverse("audio_samples:mine_sample", args=[sample.pk]) in page
    assert ada.display_name not in page


def test_a_flagged_sample_is_not_given_out(
    noor: User, ada: User, sample: Sample, recordings: list[Recording]
) -> None:
    party = recordings[0].splits.get().lines.get().party
    party.people.add(noor)
    flags.flag(by=noor, party=party, sample=sample, reason="My melody.")
    with pytest.raises(issuing.Withheld):
        given(sample, ada)


# --- Certificates ------------------------------------------------------------------------------


def test_without_a_certificate_nothing_leaves_and_the_page_says_why(
    ada: User, sample: Sample, settings: LazySettings, tmp_path: Path
) -> None:
    settings.CREDENTIALS_DIR = tmp_path / "nowhere"
    client = Client()
    client.force_login(ada)
    answer = client.post(reverse("audio_samples:download", args=[sample.pk]), follow=True)
    assert "There is no certificate to sign files with" in answer.content.decode()
    assert not Credential.objects.exists()
    assert chain.check_chain()[0] is False
    with pytest.raises(CommandError, match="no certificate"):
        call_command("credentials", "look")


def test_an_expired_certificate_signs_nothing(
    ada: User, sample: Sample, settings: LazySettings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(chain, "YEARS", 0)
    chain.make(tmp_path / "old", "A Lab")
    settings.CREDENTIALS_DIR = tmp_path / "old"
    with pytest.raises(chain.NoChain, match="has expired on"):
        given(sample, ada)


def test_a_certificate_that_ends_soon_is_told(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "RENEW_WITHIN", chain.RENEW_WITHIN * 1000)
    good, sentence = chain.check_chain()
    assert not good
    assert "renew it" in sentence


def test_the_portal_makes_a_chain_of_its_own_once(settings: LazySettings, tmp_path: Path) -> None:
    settings.CREDENTIALS_DIR, settings.STATE_DIR = None, tmp_path
    first = chain.load()
    assert chain.load() == first
    assert (tmp_path / "credentials" / "key.pem").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["credentials"]


def test_after_a_change_of_certificates_older_files_are_still_known(
    ada: User, sample: Sample, settings: LazySettings, tmp_path: Path, certificates: Path
) -> None:
    _, data = given(sample, ada)
    new = tmp_path / "new"
    call_command(
        "credentials", "make", str(new), "--organisation", "A Lab",
        "--trust", str(certificates / "anchors.pem"),
    )  # fmt: skip
    settings.CREDENTIALS_DIR = new
    assert check(data).known_by == KnownBy.SIGNED
    with pytest.raises(CommandError, match="Nothing was made"):
        call_command("credentials", "make", str(new), "--organisation", "A Lab")


def test_the_shell_tells_of_a_file_what_the_page_does(
    ada: User, sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    credential, data = given(sample, ada)
    path = tmp_path / "found.wav"
    path.write_bytes(data)
    call_command("credentials", "check", str(path))
    assert f"signed: sample {sample.pk}" in capsys.readouterr().out
    path.write_bytes(tone(frequency=77, format="WAV").getvalue())
    with pytest.raises(CommandError, match="not known here"):
        call_command("credentials", "check", str(path))
    assert credential.serial


def test_the_sound_is_what_is_heard_at_its_rate_in_its_channels() -> None:
    left = np.linspace(-1, 1, 8, dtype=np.float32)
    sounds = {
        sound.digest(np.stack([left]), rate=8_000),
        sound.digest(np.stack([left]), rate=16_000),
        sound.digest(np.stack([left, left]), rate=8_000),
        sound.digest(np.stack([left, -left]), rate=8_000),
        # The same numbers in a row, in other channels.
        sound.digest(np.stack([left[::2], left[1::2]]), rate=8_000),
    }
    assert len(sounds) == 5


def test_who_has_left_is_named_only_where_they_want_to_be(
    ada: User, rosa: User, project: Project, tmp_path: Path
) -> None:
    """It was agreed that this version stays: the sample is still downloaded."""
    party = make_party(rosa, "Runa Vik")
    song = make_recording(rosa, party)
    grants = signed(rosa, party, WithdrawalPolicy.NEXT_VERSION)
    sample = make_sample(make_run(ada, project, [song]))
    assert named(sample, ada, tmp_path) == ["Runa Vik"]
    lifecycle.withdraw(grants[0], rosa, "Next time without me.")
    assert named(sample, ada, tmp_path) == []
    Party.objects.filter(pk=party.pk).update(public_after=True)
    assert named(sample, ada, tmp_path) == ["Runa Vik"]


def named(sample: Sample, by: User, tmp_path: Path) -> list[str]:
    said = reading(given(sample, by)[1], tmp_path, "audio/flac").assertions[LABEL]
    return list(said["named"])
