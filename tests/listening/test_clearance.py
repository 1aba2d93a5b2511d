"""Listening tests ask everybody behind a sample, and let a clip go when one of them does."""

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.runs import runs
from listening import trials
from listening.models import ListeningTest
from portal.models import Role, User
from rights.grants import lifecycle
from rights.models import Grant, Party, Recording, Use
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_party, make_recording

INTERNAL = ListeningTest.Audience.INTERNAL


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa, "Mira Sol")


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    """It may train a model; nobody was asked about listening tests yet."""
    made = make_recording(rosa, party)
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    return made


@pytest.fixture
def evaluation(rosa: User, party: Party, song: Recording) -> list[Grant]:
    return allow(rosa, party, Use.EVAL)


@pytest.fixture
def run(ada: User, project: Project, song: Recording) -> Run:
    return make_run(ada, project, [song])


def opened(by: User, sample: Sample, **said: str) -> ListeningTest:
    return trials.open_test(
        by=by, project=sample.run.project, title="T", question="Q", samples=[sample], **said
    )


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("audience", ListeningTest.Audience.values)
def test_a_sample_without_permission_is_refused_by_name_and_reason(
    ada: User, run: Run, audience: str
) -> None:
    sample = make_sample(run)
    with pytest.raises(trials.BadTest) as raised:
        opened(ada, sample, audience=audience)
    assert raised.value.refusals[0].startswith(f"“{sample.name}” of run {run.number}: Mira Sol")
    assert "has not allowed evaluation and listening tests" in str(raised.value)
    data = {"title": "T", "question": "Q", "low_label": "a", "high_label": "b",
            "samples": [sample.pk], "audience": audience}  # fmt: skip
    page = as_user(ada).post(reverse("listening:new", args=[run.project.slug]), data)
    assert page.status_code == 422
    assert "Mira Sol" in page.content.decode()
    assert not ListeningTest.objects.exists()


def test_a_permission_for_elsewhere_is_none_here(
    ada: User, rosa: User, party: Party, run: Run
) -> None:
    allow(rosa, party, Use.EVAL, territories=["FR"])
    with pytest.raises(trials.BadTest, match="in The world"):
        opened(ada, make_sample(run))


def test_outside_listeners_find_only_what_is_open_to_them(
    ada: User, lou: User, run: Run, evaluation: list[Grant]
) -> None:
    inside = opened(ada, make_sample(run, "a"), audience=INTERNAL)
    outside = opened(ada, make_sample(run, "b"))
    assert set(ListeningTest.objects.open_to(lou)) == {outside}
    assert set(ListeningTest.objects.open_to(ada)) == {inside, outside}
    clip = reverse("listening:audio", args=[inside.items.get().code])
    assert as_user(lou).get(clip).status_code == 404
    assert as_user(ada).get(clip).status_code == 200
    lou.roles = [Role.LISTENER.value, Role.RESEARCHER.value]
    lou.save()
    assert as_user(lou).get(clip).status_code == 200


def test_clips_of_programs_outside_stay_in_the_lab(ada: User, project: Project) -> None:
    sample = make_sample(runs.open_client_run(by=ada, project=project))
    with pytest.raises(trials.BadTest, match="does not know what it learned from"):
        opened(ada, sample)
    assert opened(ada, sample, audience=INTERNAL).items.count() == 1


def test_a_clip_is_gone_when_the_permission_to_evaluate_ends_and_the_sample_stays(
    ada: User, lou: User, rosa: User, run: Run, evaluation: list[Grant]
) -> None:
    sample = make_sample(run)
    item = opened(ada, sample).items.get()
    clip = reverse("listening:audio", args=[item.code])
    assert as_user(lou).get(clip).status_code == 200
    lifecycle.withdraw(evaluation[0], rosa, "No more tests")
    assert as_user(lou).get(clip).status_code == 410
    with pytest.raises(trials.Withdrawn):
        trials.answer(item=item, listener=lou, score=3)
    assert Sample.objects.audible().filter(pk=sample.pk).exists()
    heard = as_user(ada).get(reverse("audio_samples:audio", args=[sample.pk]))
    assert heard.status_code == 200


def test_a_suspension_silences_a_clip_for_as_long_as_it_lasts(
    ada: User, lou: User, rosa: User, run: Run, evaluation: list[Grant]
) -> None:
    clip = reverse("listening:audio", args=[opened(ada, make_sample(run)).items.get().code])
    lifecycle.suspend(evaluation[0], rosa, "To be talked about")
    assert as_user(lou).get(clip).status_code == 410
    lifecycle.resume(evaluation[0], rosa)
    assert as_user(lou).get(clip).status_code == 200


def test_what_a_parent_learned_from_is_asked_too(
    ada: User, rosa: User, project: Project, run: Run, evaluation: list[Grant]
) -> None:
    from tests.rights.withdrawal.affected import go_on_from, make_checkpoint

    derived = go_on_from(make_checkpoint(run), by=ada, project=project)
    sample = make_sample(derived)
    test = opened(ada, sample)
    lifecycle.withdraw(evaluation[0], rosa, "No more tests")
    assert trials.clip_order(test, ada)[0].withdrawn
    with pytest.raises(trials.BadTest, match="Mira Sol"):
        opened(ada, sample)
