"""What an uploaded file says of itself is heard before it is taken for somebody's recording."""

import io
from pathlib import Path
from typing import Any

import pytest
import soundfile
from django.test import Client
from django.urls import reverse

from audio_samples import samples
from audio_samples.credentials import chain, file_provenance, files, issuing
from audio_samples.models import Sample
from experiments.models import Project
from portal import storage
from portal.models import User
from rights import territories
from rights.catalogue import catalogue
from rights.consent import consent
from rights.errors import Refused
from rights.models import Purpose, Recording, Signal, Use
from rights.parties import splits
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_allowed, make_party, make_recording
from tests.tones import tone

pytestmark = pytest.mark.django_db
SCOPE = consent.Context(Purpose.RESEARCH, territories.WORLD, "")
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
NO = {"entries": {"c2pa.ai_generative_training": {"use": "notAllowed"}}}


@pytest.fixture
def sample(ada: User, project: Project, rosa: User) -> Sample:
    run = make_run(ada, project, make_allowed(rosa, 1))
    return make_sample(run, file=tone(seconds=0.6, frequency=777, format="WAV"))


def signed(
    folder: Path, *assertions: tuple[str, Any], source: str = "digitalCreation", over: bytes = b"",
    written: str = "WAV",
) -> bytes:  # fmt: skip
    """A file by a lab of somebody else's, or one made of a file that has a manifest already."""
    before, after, chain_of = folder / "before", folder / "after", folder / "theirs"
    before.write_bytes(over or tone(seconds=0.5, frequency=311, format=written).getvalue())
    if not chain_of.exists():
        chain.make(chain_of, "Somebody else")
    theirs = chain.Chain(
        (chain_of / "chain.pem").read_text(),
        chain_of / "key.pem",
        (chain_of / "anchors.pem").read_text(),
    )
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE + source}
    manifest = {
        "claim_generator_info": [{"name": "Theirs"}],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            *({"label": label, "data": data} for label, data in assertions),
        ],
    }
    media_type = {"WAV": "audio/wav", "FLAC": "audio/flac", "MP3": "audio/mpeg"}[written]
    files.sign(before, after, media_type=media_type, manifest=manifest, chain=theirs)
    return after.read_bytes()


def taken(rosa: User, data: bytes) -> Recording:
    return catalogue.add_recording(
        by=rosa, file=io.BytesIO(data), filename="song.wav", title="Song",
        works=[catalogue.add_work(by=rosa, title="Song")],
    )  # fmt: skip


def with_holder(rosa: User, recording: Recording) -> Recording:
    """Its holder is known after the file came, and allows the whole catalogue."""
    party = make_party(rosa)
    for subject in (recording, recording.works.get()):
        sheet = splits.propose(by=rosa, subject=subject, lines={party: 1_000_000})
        splits.confirm(sheet=sheet, party=party, by=rosa)
    allow(rosa, party, Use.TRAIN_GENERATIVE, Use.EVAL)
    return recording


def allowed(recording: Recording, use: Use) -> bool:
    return consent.evaluate([recording], use, SCOPE)[recording.pk].allowed


# --- Its no ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["WAV", "FLAC", "MP3"])
@pytest.mark.parametrize("label", ["c2pa.training-mining", "cawg.training-mining"])
def test_a_no_inside_a_file_stands_before_anybody_has_granted(
    rosa: User, tmp_path: Path, label: str, written: str
) -> None:
    recording = with_holder(rosa, taken(rosa, signed(tmp_path, (label, NO), written=written)))
    assert not allowed(recording, Use.TRAIN_GENERATIVE)
    assert allowed(recording, Use.EVAL)
    signal = Signal.objects.get()
    assert (signal.key, signal.source) == (
        "c2pa.ai_generative_training", "Inside the file song.wav",
    )  # fmt: skip
    assert "The file itself says no" in recording.warnings[-1]


def test_the_holders_own_word_for_that_recording_answers_it(rosa: User, tmp_path: Path) -> None:
    recording = with_holder(rosa, taken(rosa, signed(tmp_path, ("c2pa.training-mining", NO))))
    party = recording.splits.get().lines.get().party
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=recording)
    assert allowed(recording, Use.TRAIN_GENERATIVE)


def test_a_no_of_a_file_that_this_one_was_made_of_is_heard(rosa: User, tmp_path: Path) -> None:
    old = signed(tmp_path, ("c2pa.training-mining", NO))
    yes = {"entries": {"c2pa.ai_generative_training": {"use": "allowed"}}}
    recording = with_holder(
        rosa, taken(rosa, signed(tmp_path, ("c2pa.training-mining", yes), over=old))
    )
    assert not allowed(recording, Use.TRAIN_GENERATIVE)


def test_an_assertion_that_cannot_be_read_is_a_no_to_everything(rosa: User, tmp_path: Path) -> None:
    odd = {"entries": {"c2pa.ai_training": {"use": "perhaps"}}}
    recording = with_holder(rosa, taken(rosa, signed(tmp_path, ("c2pa.training-mining", odd))))
    assert not allowed(recording, Use.EVAL)


def test_a_manifest_that_is_torn_is_still_heard(rosa: User, tmp_path: Path) -> None:
    data = bytearray(signed(tmp_path, ("c2pa.training-mining", NO)))
    data[200] ^= 1
    recording = with_holder(rosa, taken(rosa, bytes(data)))
    assert not allowed(recording, Use.TRAIN_GENERATIVE)


def test_a_manifest_that_cannot_be_parsed_is_a_question_and_a_no(
    rosa: User, tmp_path: Path
) -> None:
    data = bytearray(signed(tmp_path, ("c2pa.training-mining", NO)))
    start = data.index(b"jumb")
    data[start + 4 : start + 12] = b"\xff" * 8
    recording = with_holder(rosa, taken(rosa, bytes(data)))
    assert not allowed(recording, Use.TRAIN_GENERATIVE)
    assert Signal.objects.get().value == "unreadable"


def test_a_file_that_comes_later_and_a_stem_are_heard_too(rosa: User, tmp_path: Path) -> None:
    recording = catalogue.announce_recording(by=rosa, title="Later")
    data = signed(tmp_path, ("c2pa.training-mining", NO))
    catalogue.attach_audio(
        by=rosa, recording=recording, file=io.BytesIO(data), filename="later.wav"
    )
    assert recording.signals.get().denied == ["train.generative", "finetune"]
    other = make_recording(rosa, make_party(rosa))
    catalogue.add_stem(
        by=rosa, recording=other, part="vocals", file=io.BytesIO(data), filename="v.wav"
    )
    assert other.signals.get().denied == ["train.generative", "finetune"]


def test_plus_data_mining_in_xmp_is_heard(rosa: User) -> None:
    data = tone(seconds=0.5, frequency=312, format="WAV").getvalue()
    xmp = b"<plus:DataMining>http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED</plus:DataMining>x"
    chunk = b"_PMX" + len(xmp).to_bytes(4, "little") + xmp
    size = int.from_bytes(data[4:8], "little") + len(chunk)
    recording = with_holder(
        rosa, taken(rosa, data[:4] + size.to_bytes(4, "little") + data[8:] + chunk)
    )
    assert not allowed(recording, Use.TRAIN_GENERATIVE)


def test_a_file_that_says_nothing_is_taken_as_it_is(rosa: User) -> None:
    recording = taken(rosa, tone(seconds=0.5, frequency=313, format="WAV").getvalue())
    assert not Signal.objects.exists()
    assert recording.warnings == []


# --- Made by a machine ----------------------------------------------------------------------------


def test_a_file_that_left_this_portal_is_nobodys_recording(
    ada: User, rosa: User, sample: Sample
) -> None:
    given = issuing.download(sample, by=ada)
    with given.file, pytest.raises(Refused, match="made in this portal"):
        taken(rosa, given.file.read())


@pytest.mark.parametrize("written", [{"format": "WAV"}, {"format": "FLAC"}])
def test_nor_is_one_that_was_stripped_or_never_given_out(
    rosa: User, sample: Sample, written: dict[str, str]
) -> None:
    audio, rate = soundfile.read(samples_file(sample), dtype="int16", always_2d=True)
    file = io.BytesIO()
    soundfile.write(file, audio, rate, **written)
    with pytest.raises(Refused, match="made in this portal"):
        taken(rosa, file.getvalue())
    with pytest.raises(Refused, match="made in this portal"):
        taken(rosa, samples_file(sample).read())


def test_nor_is_a_sample_of_before_its_sound_was_kept(rosa: User, sample: Sample) -> None:
    Sample.objects.update(sound="")
    audio, rate = soundfile.read(samples_file(sample), dtype="int16", always_2d=True)
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="FLAC")
    with pytest.raises(Refused, match="made in this portal"):
        taken(rosa, file.getvalue())


def samples_file(sample: Sample) -> io.BytesIO:
    with storage.open_blob(sample.audio_id) as blob:
        return io.BytesIO(blob.read())


def test_a_sound_is_one_however_it_is_read(sample: Sample) -> None:
    found = file_provenance.sound_of(samples_file(sample))
    assert found
    assert found.digest == sample.sound


def test_somebody_elses_machine_made_file_is_refused_in_words(
    client: Client, rosa: User, tmp_path: Path
) -> None:
    file = io.BytesIO(signed(tmp_path, source="trainedAlgorithmicMedia"))
    file.name = "dream.wav"
    client.force_login(rosa)
    answer = client.post(reverse("rights:upload"), {"file": file, "title": "Dream"})
    assert "a trained model made it" in answer.content.decode()
    assert not Recording.objects.exists()


@pytest.mark.parametrize("source", ["compositeWithTrainedAlgorithmicMedia", "compositeSynthetic"])
def test_what_is_part_machine_made_is_denied_until_its_holder_names_it(
    rosa: User, tmp_path: Path, source: str
) -> None:
    recording = with_holder(rosa, taken(rosa, signed(tmp_path, source=source)))
    assert not allowed(recording, Use.EVAL)
    assert Signal.objects.get().info == source.casefold()
    party = recording.splits.get().lines.get().party
    allow(rosa, party, Use.EVAL, recording=recording)
    assert allowed(recording, Use.EVAL)


def test_what_was_made_from_a_machine_made_file_is_denied(rosa: User, tmp_path: Path) -> None:
    old = signed(tmp_path, source="trainedAlgorithmicMedia")
    edited = signed(tmp_path, ("org.example.note", {"text": "mixed"}), over=old)
    recording = with_holder(rosa, taken(rosa, edited))
    assert not allowed(recording, Use.EVAL)


def test_samples_are_taken_from_runs_as_before(sample: Sample) -> None:
    again = samples.receive(run=sample.run, name="another", file=samples_file(sample), step=1)
    assert again.sound == sample.sound
