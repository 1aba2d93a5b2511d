"""Clips in public: asked for, listened to, signed, heard by everybody, and silent at once."""

import io
import re
from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import reverse

from audio import prints
from audio_samples import releases, samples
from audio_samples.copy_check import screenings
from audio_samples.credentials import checking
from audio_samples.descendants import Clips
from audio_samples.models import ClipRelease, Credential, Sample
from audio_samples.models.copy_check import Screening
from audio_samples.reviews import flags, reviewing
from experiments.clearance.permission import NotPermitted
from experiments.models import Membership, Project, Run
from experiments.models.publishing import ModelPage
from experiments.publishing import pages
from portal import audit
from portal.models import User
from rights.errors import Refused
from rights.grants import agreements, lifecycle
from rights.models import Channel, Grant, Party, Recording, Use, WithdrawalCase
from rights.withdrawal import cases
from tests.audio_samples.cast import make_sample
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.confirming import confirm
from tests.experiments.publishing.test_transparency import TEXTS, trained


@dataclass
class World:
    owner: User
    admin: User
    project: Project
    parties: list[Party]
    songs: list[Recording]
    grants: list[Grant]
    run: Run
    page: ModelPage
    sample: Sample

    def ask(self, title: str = "First loop") -> ClipRelease:
        return releases.ask(by=self.owner, sample=self.sample, title=title)

    def release(self) -> ClipRelease:
        return releases.approve(by=self.admin, release=self.ask())

    @property
    def clips(self) -> str:
        return reverse("clips:clips", args=[self.page.slug])


@pytest.fixture
def world(ada: User, rosa: User, project: Project) -> World:
    project.name = "A project of the lab"
    project.save()
    Membership.objects.filter(user=ada).update(level=Membership.Level.OWNER)
    parties = [make_party(rosa, name) for name in ("Nell Harrow", "Odd Larsen")]
    songs = [make_recording(rosa, party) for party in parties]
    grants = []
    for party in parties:
        allow(rosa, party, Use.TRAIN_GENERATIVE)
        grants += allow(rosa, party, Use.DISTRIBUTE, channels=[Channel.EXPORT])
    run, checkpoint = trained(ada, project, songs)
    page = pages.ask(
        by=ada, project=project, run=run, checkpoint=checkpoint, title="First light",
        version="1.0", parts=TEXTS,
    )  # fmt: skip
    pages.approve(by=rosa, text=page.texts.get())
    sample = make_sample(run, prompt="a private prompt", step=100)
    screenings.screen(sample)
    return World(ada, rosa, project, parties, songs, grants, run, page, sample)


def sentences(world: World) -> str:
    return " ".join(releases.release_obstacles(Sample.objects.get(pk=world.sample.pk)))


def test_a_released_clip_is_heard_by_everybody_with_its_credits(world: World) -> None:
    release = world.release()
    nobody = Client()
    page = nobody.get(world.clips)
    text = page.content.decode()
    assert "First loop" in text
    assert "Nell Harrow" in text
    assert "Set-Cookie" not in page.headers
    address = reverse("clips:audio", args=[world.page.slug, release.credential_id])
    assert address in text
    answer = nobody.get(address)
    data = b"".join(answer.streaming_content)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-store")
    # The very file: trusted, and credited as the portal keeps it.
    assert release.credential is not None
    found = checking.check(io.BytesIO(data))
    assert (found.known_by, found.credentials) == (checking.KnownBy.SIGNED, [release.credential])
    for private in ("a private prompt", world.run.name, world.project.name, world.owner.last_name):
        assert private not in text
    assert nobody.get(address, headers={"Range": "bytes=0-9"}).status_code == 206
    # The model's page leads there.
    assert world.clips in nobody.get(world.page.get_absolute_url()).content.decode()


def test_without_a_screening_that_passed_nothing_is_released(world: World) -> None:
    other = make_sample(world.run, "b", step=100)
    with pytest.raises(Refused, match="copy check has not passed"):
        releases.ask(by=world.owner, sample=other, title="Second")
    assert not ClipRelease.objects.exists()


def test_a_clip_that_a_later_method_suspects_is_not_heard_until_it_is_answered(
    world: World,
) -> None:
    """By whichever name the sound was screened."""
    release = world.release()
    copy = Sample.objects.get(pk=world.sample.pk)
    copy.pk, copy.name, copy.identity = None, "another name", "another"
    copy.save()
    for sample in (world.sample, copy):
        screening = Screening.objects.create(
            sample=sample, version=prints.VERSION, outcome=Screening.Outcome.NEAR_COPY,
            recording=world.songs[0], score=0.9,
        )  # fmt: skip
        assert releases.public_clips(world.page) == []
        assert releases.public_clip(world.page, release.credential_id) is None
        screenings.dismiss(screening, by=world.admin, note="A common riff.")
        assert releases.public_clips(world.page) == [release]


def test_without_leave_to_distribute_nothing_is_released(world: World) -> None:
    agreements.change(world.grants[0], by=world.admin, channels=[Channel.WALLED])
    newest = Grant.objects.order_by("-pk").first()
    assert newest is not None
    lifecycle.activate(newest, second_admin())
    assert "Nell Harrow" in sentences(world)
    with pytest.raises(Refused):
        world.ask()


def test_a_clip_that_a_case_took_back_is_not_released_again(world: World) -> None:
    """Nor is the same sound under another name; a person who took one back may think again."""
    first = world.release()
    releases.recall(by=world.owner, release=first, reason="The title is wrong.")
    second = world.release()
    Clips().retire([str(second.pk)], "A withdrawal")
    assert "took this clip back from the public for good" in sentences(world)
    copy = Sample.objects.get(pk=world.sample.pk)
    copy.pk, copy.name, copy.identity = None, "another name", "another"
    copy.save()
    with pytest.raises(Refused, match="for good"):
        releases.ask(by=world.owner, sample=copy, title="Again")


def test_without_a_public_page_nothing_is_released(world: World) -> None:
    pages.withdraw(by=world.owner, page=world.page)
    assert "no public page that stands" in sentences(world)
    with pytest.raises(Refused, match="no public page"):
        world.ask()


def test_two_people_release_a_clip(world: World) -> None:
    release = world.ask()
    with pytest.raises(Refused, match="A rights admin answers"):
        releases.approve(by=world.owner, release=release)
    world.owner.roles.append("rights_admin")
    world.owner.save()
    with pytest.raises(Refused, match="another admin"):
        releases.approve(by=world.owner, release=release)
    releases.approve(by=world.admin, release=release)
    with pytest.raises(Refused, match="answered already"):
        releases.approve(by=second_admin(), release=release)
    assert Credential.objects.count() == 1


def test_only_owners_ask_and_only_once(world: World, ben: User) -> None:
    with pytest.raises(NotPermitted):
        releases.ask(by=ben, sample=world.sample, title="Mine")
    world.ask()
    with pytest.raises(Refused, match="asked for already"):
        world.ask()


def test_a_title_that_names_who_is_not_named_is_refused(world: World) -> None:
    Party.objects.filter(name="Odd Larsen").update(public_credit=Party.PublicCredit.UNNAMED)
    with pytest.raises(Refused, match="names somebody"):
        world.ask("In the manner of Odd Larsen")
    # Who chooses it later is veiled in what was approved before.
    Party.objects.filter(name="Odd Larsen").update(public_credit=Party.PublicCredit.NAME)
    releases.approve(by=world.admin, release=world.ask("For Odd Larsen"))
    Party.objects.filter(name="Odd Larsen").update(public_credit=Party.PublicCredit.UNNAMED)
    audit.record(by=world.admin, verb="party.changed", subject=world.parties[1])
    assert "Odd Larsen" not in Client().get(world.clips).content.decode()


def test_what_ends_between_question_and_answer_is_not_released(world: World) -> None:
    release = world.ask()
    lifecycle.withdraw(world.grants[0], world.admin, "No more.")
    with pytest.raises(Refused):
        releases.approve(by=world.admin, release=release)
    assert not Credential.objects.exists()
    release.refresh_from_db()
    assert release.waits


@pytest.mark.parametrize("what", ["distribute", "training", "suspended", "page", "flag", "recall"])
def test_it_falls_silent_at_once(world: World, rosa: User, what: str) -> None:
    release = world.release()
    address = reverse("clips:audio", args=[world.page.slug, release.credential_id])
    assert Client().get(address).status_code == 200
    if what == "distribute":
        lifecycle.withdraw(world.grants[0], rosa, "Private reasons.")
    elif what == "training":
        grant = Grant.objects.filter(use=Use.TRAIN_GENERATIVE).first()
        assert grant is not None
        lifecycle.withdraw(grant, rosa, "Private reasons.")
    elif what == "suspended":
        lifecycle.suspend(world.grants[0], rosa, "Private reasons.")
    elif what == "page":
        pages.withdraw(by=world.owner, page=world.page)
    elif what == "flag":
        samples.withhold(world.sample, by=rosa, reason="Private reasons.")
    else:
        releases.recall(by=rosa, release=release, reason="Private reasons.")
    gone = Client().get(address)
    assert (gone.status_code, gone["Cache-Control"]) == (410, "private, no-store")
    page = Client().get(world.clips).content.decode()
    assert address not in page
    assert "Private reasons" not in page


def test_a_withdrawal_lists_it_and_its_task_takes_it_back(world: World, rosa: User) -> None:
    release = world.release()
    lifecycle.withdraw(world.grants[0], rosa, "No more.")
    cases.refresh_cases()
    case = WithdrawalCase.objects.get()
    item = case.items.get(kind="clip")
    assert (item.key, item.label) == (str(release.pk), "First light, version 1.0: First loop")
    cases.remedy(case, "clip", rosa, "Done.")
    release.refresh_from_db()
    assert release.recalled_at is not None
    assert case.items.get(kind="clip").outcome == "recalled"


def test_a_clip_that_was_taken_back_may_be_asked_for_again(world: World, rosa: User) -> None:
    first = world.release()
    releases.recall(by=world.owner, release=first, reason="Too loud.")
    with pytest.raises(Refused, match="taken back already"):
        releases.recall(by=rosa, release=first, reason="Again.")
    again = world.release()
    assert [clip.pk for clip in releases.public_clips(world.page)] == [again.pk]
    # The first file is not heard under its own address either.
    old = reverse("clips:audio", args=[world.page.slug, first.credential_id])
    assert Client().get(old).status_code == 410


def test_it_is_walked_through_by_its_pages(world: World, rosa: User, noor: User) -> None:
    owner, admin = Client(), Client()
    owner.force_login(world.owner)
    admin.force_login(rosa)
    page = owner.get(world.sample.get_absolute_url()).content.decode()
    ask = reverse("audio_samples:release_ask", args=[world.sample.pk])
    assert ask in page
    assert owner.post(ask, {"title": " "}).status_code == 422
    assert owner.post(ask, {"title": "Loop one"}).status_code == 302
    waits = admin.get(reverse("audio_samples:waiting")).content.decode()
    assert "1 clip to be heard in public" in waits
    assert "near cop" not in waits
    listed = admin.get(reverse("audio_samples:releases")).content.decode()
    assert "Loop one" in listed
    release = ClipRelease.objects.get()
    one = reverse("audio_samples:release", args=[release.pk])
    assert "allows outputs to leave the lab" in admin.get(one).content.decode()
    heard = admin.get(reverse("audio_samples:release_audio", args=[release.pk]))
    assert heard.status_code == 200
    refuse = reverse("audio_samples:release_refuse", args=[release.pk])
    assert admin.post(refuse, {"reason": ""}).status_code == 422
    waits = reverse("audio_samples:release", args=[release.pk])
    assert confirm(admin, refuse, {"reason": "Too short."}, at=waits).status_code == 302
    assert "Too short." in owner.get(world.sample.get_absolute_url()).content.decode()
    owner.post(ask, {"title": "Loop two"})
    second = ClipRelease.objects.first()
    assert second is not None
    approve = reverse("audio_samples:release_approve", args=[second.pk])
    two = reverse("audio_samples:release", args=[second.pk])
    # Not without a look at it, and not red: it harms nobody.
    assert admin.post(approve).status_code == 422
    assert ClipRelease.objects.waiting().get() == second
    assert "danger" not in admin.get(two).content.decode()
    assert confirm(admin, approve, at=two).status_code == 302
    again = admin.post(approve)
    assert again.status_code == 422
    assert ClipRelease.objects.get(pk=second.pk).released_at is not None
    with pytest.raises(Refused, match="answered already"):
        releases.approve(by=rosa, release=ClipRelease.objects.get(pk=second.pk))
    # The artist behind it reads where everybody hears it.
    world.parties[0].people.add(noor)
    artist = Client()
    artist.force_login(noor)
    mine = artist.get(reverse("audio_samples:mine_sample", args=[world.sample.pk]))
    assert world.clips in mine.content.decode()
    recall = reverse("audio_samples:release_recall", args=[second.pk])
    assert owner.post(recall, {"reason": "Enough."}).status_code == 409
    assert releases.public_clips(world.page)
    assert confirm(owner, recall, {"reason": "Enough."}).status_code == 302
    assert not releases.public_clips(world.page)


def test_the_page_says_what_keeps_a_sample_from_the_public(world: World) -> None:
    other = make_sample(world.run, "b", step=100)
    client = Client()
    client.force_login(world.owner)
    ask = reverse("audio_samples:release_ask", args=[other.pk])
    page = client.get(ask).content.decode()
    assert "The copy check has not passed it." in page
    assert not re.search(r'name="title"', page)
    assert client.post(ask, {"title": "Loop"}).status_code == 422


def test_one_who_may_not_own_finds_no_way_to_ask(world: World, ben: User) -> None:
    Membership.objects.create(project=world.project, user=ben, level=Membership.Level.MEMBER)
    client = Client()
    client.force_login(ben)
    ask = reverse("audio_samples:release_ask", args=[world.sample.pk])
    assert client.get(ask).status_code == 404
    assert ask not in client.get(world.sample.get_absolute_url()).content.decode()


def test_a_clip_of_another_page_is_not_found_under_this_one(world: World) -> None:
    release = world.release()
    other = ModelPage.objects.create(
        project=world.project, run=world.run, slug="other", title="Other", version="1",
        published_by=world.owner, approved_by=world.admin, published_at=world.page.published_at,
    )  # fmt: skip
    assert releases.public_clip(other, release.credential_id) is None


def test_a_clip_is_heard_by_who_answers_though_a_flag_silences_it(
    world: World, rosa: User, noor: User
) -> None:
    """What cannot take effect is not offered: it may be refused, and not released."""
    release = releases.ask(by=world.owner, sample=world.sample, title="Loop")
    party = world.parties[0]
    party.people.add(noor)
    flags.flag(by=noor, party=party, sample=world.sample, reason="Mine.")
    admin = Client()
    admin.force_login(rosa)
    heard = reverse("audio_samples:release_audio", args=[release.pk])
    assert admin.get(heard).status_code == 200
    assert audit.history(world.sample).filter(verb=reviewing.VERB).count() == 1
    page = admin.get(reverse("audio_samples:release", args=[release.pk])).content.decode()
    assert heard in page
    assert "It cannot be released now" in page
    assert "everybody may hear it" not in page
