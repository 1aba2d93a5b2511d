"""A rightsholder hears what was made from their music and objects; a rights admin answers."""

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples import clips, rightsholder_samples
from audio_samples.models import Sample, SampleFlag
from audio_samples.reviews import flags
from experiments.models import Project, Run
from listening import trials
from portal import audit
from portal.models import Blob, User
from rights.errors import Refused
from rights.grants import lifecycle
from rights.models import Party, Recording, Use
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed, make_party
from tests.confirming import confirm

pytestmark = pytest.mark.django_db


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def songs(rosa: User, party: Party) -> list[Recording]:
    return make_allowed(rosa, 2, party=party)


@pytest.fixture
def run(ada: User, project: Project, songs: list[Recording]) -> Run:
    return make_run(ada, project, songs)


@pytest.fixture
def sample(run: Run) -> Sample:
    return make_sample(run)


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def flag(sample: Sample, party: Party, by: User) -> SampleFlag:
    return flags.flag(by=by, party=party, sample=sample, reason="It is my melody.")


def test_a_rightsholder_hears_the_final_samples_of_their_music(noor: User, sample: Sample) -> None:
    address = reverse("audio_samples:mine_audio", args=[sample.pk])
    whole = as_user(noor).get(address)
    assert whole.status_code == 200
    assert whole["Cache-Control"] == "private, no-store"
    assert "first-light" not in whole["Content-Disposition"]
    part = as_user(noor).get(address, headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.getvalue())) == (206, 10)
    # The project's own address is not theirs.
    assert as_user(noor).get(reverse("audio_samples:audio", args=[sample.pk])).status_code == 404


def test_drafts_of_a_run_and_samples_of_others_are_not_theirs(
    noor: User, ada: User, rosa: User, project: Project, run: Run
) -> None:
    draft = make_sample(run, name="training/0", final=False, step=10)
    others = make_sample(make_run(ada, project, make_allowed(rosa, 1)))
    for one in (draft, others):
        for name in ("mine_sample", "mine_audio", "mine_flag"):
            address = reverse(f"audio_samples:{name}", args=[one.pk])
            assert as_user(noor).get(address).status_code == 404


def test_the_right_is_asked_each_time(
    noor: User, party: Party, songs: list[Recording], sample: Sample
) -> None:
    client = as_user(noor)
    address = reverse("audio_samples:mine_audio", args=[sample.pk])
    assert client.get(address).status_code == 200
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, noor, "A private reason.")
    gone = client.get(address, headers={"If-None-Match": f'"sample-{sample.pk}"'})
    assert gone.status_code == 410
    assert gone.content.decode() == "Withheld: a permission behind it ended."
    party.people.clear()
    assert client.get(address).status_code == 404


def test_a_flag_silences_the_sample_for_everybody_at_once(
    noor: User, ada: User, party: Party, sample: Sample
) -> None:
    lab, artist = as_user(ada), as_user(noor)
    page = reverse("audio_samples:mine_flag", args=[sample.pk])
    assert "What a flag does" in artist.get(page).content.decode()
    answer = artist.post(page, {"party": party.pk, "reason": ""})
    assert answer.status_code == 422
    assert Sample.objects.audible().exists()
    confirm(artist, page, {"party": party.pk, "reason": "It is my melody."})
    assert not Sample.objects.audible().exists()
    assert Sample.objects.withheld().get() == sample
    line = audit.history(sample).first()
    assert line.verb == "sample.flagged"
    assert line.details["reason"] == "It is my melody."
    assert "melody" not in str(line.body)
    said = "Withheld: a rightsholder objected to it; a rights admin looks at it."
    for client, name in ((lab, "audio"), (lab, "spectrogram"), (artist, "mine_audio")):
        gone = client.get(reverse(f"audio_samples:{name}", args=[sample.pk]))
        assert (gone.status_code, gone.content.decode()) == (410, said)
    shown = lab.get(reverse("audio_samples:sample", args=[sample.pk])).content.decode()
    assert said in shown
    assert "data-src" not in shown
    grid = lab.get(reverse("audio_samples:grid"), {"runs": str(sample.run_id)}).content.decode()
    assert said in grid


def test_listening_tests_skip_a_flagged_clip(
    noor: User, lou: User, party: Party, run: Run, sample: Sample
) -> None:
    ada, project = run.submitted_by, run.project
    other = make_sample(run, name="final/techno/1")
    test = trials.open_test(
        by=ada, project=project, title="Which?", question="Better?", samples=[sample, other]
    )
    item = test.items.get(sample=sample)
    flag(sample, party, noor)
    assert as_user(lou).get(reverse("listening:audio", args=[item.code])).status_code == 410
    assert [place.withdrawn for place in trials.clip_order(test, lou)].count(True) == 1
    with pytest.raises(trials.Withdrawn):
        trials.answer(item=item, listener=lou, score=3)
    with pytest.raises(trials.BadTest):
        trials.open_test(
            by=ada, project=project, title="Again?", question="Better?", samples=[sample, other]
        )


def test_a_rights_admin_listens_and_answers(
    noor: User, rosa: User, ada: User, party: Party, sample: Sample
) -> None:
    made = flag(sample, party, noor)
    admin = as_user(rosa)
    assert "It is my melody." in admin.get(reverse("audio_samples:flags")).content.decode()
    assert admin.get(reverse("audio_samples:flag", args=[made.pk])).status_code == 200
    heard_by_admin = reverse("audio_samples:flag_audio", args=[made.pk])
    assert admin.get(heard_by_admin).status_code == 200
    dismiss = reverse("audio_samples:flag_dismiss", args=[made.pk])
    assert admin.post(dismiss, {"note": ""}).status_code == 422
    page = reverse("audio_samples:flag", args=[made.pk])
    confirm(admin, dismiss, {"note": "A scale that many songs have."}, at=page)
    assert Sample.objects.audible().get() == sample
    assert audit.history(sample).first().verb == "sample.flag_dismissed"
    told = as_user(noor).get(reverse("audio_samples:mine")).content.decode()
    assert "A scale that many songs have." in told
    assert "Rosa" not in told
    with pytest.raises(Refused, match="answered already"):
        flags.uphold(made, by=rosa, note="After all.")
    with pytest.raises(Refused, match="The answer was"):
        flag(sample, party, noor)


def test_an_upheld_flag_keeps_the_sample_silent(
    noor: User, rosa: User, party: Party, sample: Sample
) -> None:
    made = flag(sample, party, noor)
    page = reverse("audio_samples:flag", args=[made.pk])
    uphold = reverse("audio_samples:flag_uphold", args=[made.pk])
    confirm(as_user(rosa), uphold, {"note": "Yes."}, at=page)
    assert not Sample.objects.audible().exists()
    found = clips.with_credits(Sample.objects.all()).get()
    assert "a rights admin agreed" in clips.reason_withheld(found)
    assert as_user(rosa).get(reverse("audio_samples:flag_audio", args=[made.pk])).status_code == 410
    assert audit.history(sample).first().verb == "sample.flag_upheld"


def test_two_flags_need_two_answers(noor: User, rosa: User, party: Party, run: Run) -> None:
    other = make_party(rosa, "Noor's label", people=[noor])
    # The label is credited on the same recording.
    song = run.dataset.items.first().recording
    song.credits.create(party=other, role="MainArtist")
    sample = make_sample(run)
    first, second = flag(sample, party, noor), flag(sample, other, noor)
    flags.dismiss(first, by=rosa, note="No.")
    assert not Sample.objects.audible().exists()
    flags.dismiss(second, by=rosa, note="No.")
    assert Sample.objects.audible().exists()


def test_who_may_not_flag_or_answer_is_refused(
    noor: User, ben: User, rosa: User, party: Party, sample: Sample
) -> None:
    ada = sample.run.submitted_by
    with pytest.raises(Refused, match="do not speak"):
        flag(sample, party, ben)
    stranger = make_party(rosa, "Stranger", people=[ben])
    with pytest.raises(Refused, match="nothing of your music"):
        flag(sample, stranger, ben)
    made = flag(sample, party, noor)
    with pytest.raises(Refused, match="A rights admin answers"):
        flags.dismiss(made, by=noor, note="Fine.")
    party.people.add(rosa)
    with pytest.raises(Refused, match="Somebody else"):
        flags.dismiss(made, by=rosa, note="Fine.")
    for user in (noor, ada, ben):
        for name, args in (("flags", []), ("flag", [made.pk]), ("flag_audio", [made.pk])):
            assert as_user(user).get(reverse(f"audio_samples:{name}", args=args)).status_code == 404
        for name in ("flag_uphold", "flag_dismiss"):
            address = reverse(f"audio_samples:{name}", args=[made.pk])
            assert as_user(user).post(address, {"note": "x"}).status_code == 404


def test_a_party_has_at_most_twenty_open_flags(
    noor: User, rosa: User, party: Party, run: Run
) -> None:
    some = [make_sample(run, name=f"final/{number}") for number in range(flags.MAX_OPEN + 1)]
    made = [flag(one, party, noor) for one in some[:-1]]
    with pytest.raises(Refused, match="20 of your flags wait"):
        flag(some[-1], party, noor)
    flags.dismiss(made[0], by=rosa, note="No.")
    flag(some[-1], party, noor)


def test_music_heard_through_another_runs_weights_counts_too(
    noor: User, rosa: User, run: Run, party: Party
) -> None:
    blob = Blob.objects.create(sha256="a" * 64, size=1, media_type="application/octet-stream")
    checkpoint = run.checkpoints.create(step=1, blob=blob)
    later = make_run(run.submitted_by, run.project, make_allowed(rosa, 1))
    Run.objects.filter(pk=later.pk).update(start_from=checkpoint)
    made = make_sample(later)
    assert rightsholder_samples.samples_of([party]).filter(pk=made.pk).exists()
    shown = as_user(noor).get(reverse("audio_samples:mine")).content.decode()
    assert "none of them yours; it started from a model that had learned from your music" in shown
    page = as_user(noor).get(reverse("audio_samples:mine_model", args=[later.pk]))
    assert "none of them yours; it started from a model" in page.content.decode()


def test_one_recording_shows_what_came_of_it_alone(
    noor: User, rosa: User, run: Run, songs: list[Recording]
) -> None:
    client, address = as_user(noor), reverse("audio_samples:mine")
    other = make_run(run.submitted_by, run.project, songs[1:])
    runs = client.get(address, {"recording": songs[0].pk}).context["rows"]
    assert [one.run for one in runs] == [run]
    both = client.get(address).context["rows"]
    assert {one.run for one in both} == {run, other}
    foreign = make_allowed(rosa, 1)[0]
    assert client.get(address, {"recording": foreign.pk}).status_code == 404
    assert client.get(address, {"recording": "x"}).status_code == 404
