"""A permission that ends while a sample is taken out, or released: before it, or found by it."""

import pytest

from audio_samples import releases
from audio_samples.copy_check import screenings
from audio_samples.credentials import issuing
from audio_samples.models import ClipRelease, Credential
from experiments.models import Membership, Project
from experiments.publishing import pages
from portal import audit
from portal.models import User
from rights.errors import Refused
from rights.grants import lifecycle
from rights.models import Channel, Use, WithdrawalCase
from rights.withdrawal import cases
from tests.audio_samples.cast import make_sample
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.experiments.publishing.test_transparency import TEXTS, trained
from tests.races.together import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 4
REFUSALS = (Refused, issuing.Withheld)


@pytest.mark.parametrize("ended", [Use.TRAIN_GENERATIVE, Use.DISTRIBUTE])
def test_a_clip_is_released_before_the_end_or_not_at_all(
    ada: User, rosa: User, project: Project, ended: Use
) -> None:
    Membership.objects.filter(user=ada).update(level=Membership.Level.OWNER)
    for number in range(ROUNDS):
        party = make_party(rosa)
        grants = allow(rosa, party, Use.TRAIN_GENERATIVE)
        grants += allow(rosa, party, Use.DISTRIBUTE, channels=[Channel.EXPORT])
        run, checkpoint = trained(ada, project, [make_recording(rosa, party)], f"set {number}")
        page = pages.ask(
            by=ada, project=project, run=run, checkpoint=checkpoint, title=f"Model {number}",
            version="1", parts=TEXTS,
        )  # fmt: skip
        pages.approve(by=rosa, text=page.texts.get())
        sample = make_sample(run, step=100)
        screenings.screen(sample)
        release = releases.ask(by=ada, sample=sample, title="Raced")
        grant = next(one for one in grants if one.use == ended)

        approved, taken, _ = together(
            lambda release=release: releases.approve(by=rosa, release=release),
            lambda sample=sample: issuing.download(sample, by=ada),
            lambda grant=grant: lifecycle.withdraw(grant, second_admin(), "No more."),
            refusals=REFUSALS,
            spread=0.4,
        )
        assert releases.public_clips(page) == []
        released = isinstance(approved, ClipRelease)
        given_out = isinstance(taken, issuing.SignedFile)
        if isinstance(taken, issuing.SignedFile):
            taken.file.close()
        assert Credential.objects.filter(sample=sample).count() == released + given_out
        cases.refresh_cases()
        items = WithdrawalCase.objects.get(grant=grant).items
        assert items.filter(kind="clip").count() == released
        if ended == Use.TRAIN_GENERATIVE:
            told = items.get(kind="sample").label
            assert ("downloaded" in told) == (released or given_out)
        else:
            # Leave to distribute is no leave to hear it: inside the lab it goes on.
            assert given_out
    assert list(audit.broken_lines()) == []
