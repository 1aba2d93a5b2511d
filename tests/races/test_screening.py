"""Workers that screen the same sample at once keep one look, and one line in the log."""

import pytest

from audio_samples.copy_check import screenings
from audio_samples.models.copy_check import DatasetIndex, Screening
from experiments.models import Project
from portal.models import AuditEvent, User
from rights.models import SoundPrint, Use
from tests.audio.test_prints import music
from tests.audio_samples.cast import make_run, make_sample
from tests.audio_samples.copy_check.test_screenings import as_file
from tests.catalogue import allow, make_party, make_recording
from tests.races.together import together

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_sample_in_many_hands(ada: User, rosa: User, project: Project) -> None:
    party = make_party(rosa)
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    song = make_recording(rosa, party, file=as_file(music(8, seed=2)))
    run = make_run(ada, project, [song])
    sample = make_sample(run, file=as_file(music(8, seed=2)[:, 44_100:]))
    together(*[lambda: screenings.screen(sample)] * 4, refusals=())
    look = Screening.objects.get()
    assert (look.outcome, look.recording) == (Screening.Outcome.NEAR_COPY, song)
    assert AuditEvent.objects.filter(verb="sample.near_copy").count() == 1
    assert (SoundPrint.objects.count(), DatasetIndex.objects.count()) == (1, 1)
