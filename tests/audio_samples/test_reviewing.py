"""Who judges hears what they judge, is told what the answer changes, and leaves a line."""

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples import samples
from audio_samples.audibility import silences
from audio_samples.models import Sample, SampleFlag
from audio_samples.reviews import flags, reviewing
from experiments.models import Project, Run
from portal import audit, confirmation
from portal.models import AuditEvent, Role, User
from rights.grants import lifecycle
from rights.models import CaseItem, Party, Recording, Use
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed, make_party
from tests.confirming import confirm, has_seal, seal_on
from tests.conftest import person

pytestmark = pytest.mark.django_db

TRAIN = Use.TRAIN_GENERATIVE


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


@pytest.fixture
def flag(sample: Sample, party: Party, noor: User) -> SampleFlag:
    return flags.flag(by=noor, party=party, sample=sample, reason="It is my melody.")


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def address(name: str, row: SampleFlag) -> str:
    return reverse(f"audio_samples:{name}", args=[row.pk])


def end_permission(songs: list[Recording], party: Party, noor: User) -> None:
    lifecycle.opt_out(songs[0], TRAIN, party, noor, "I want it out")


def heard_lines(sample: Sample) -> list[AuditEvent]:
    return list(audit.history(sample).filter(verb=reviewing.VERB))


def test_a_flag_is_heard_though_a_permission_has_ended_meanwhile(
    *, rosa: User, noor: User, party: Party, songs: list[Recording], flag: SampleFlag
) -> None:
    end_permission(songs, party, noor)
    client = as_user(rosa)
    assert client.get(address("flag_audio", flag)).status_code == 200
    assert address("flag_audio", flag) in client.get(address("flag", flag)).content.decode()


def test_a_flag_is_heard_though_the_sample_is_withheld_for_good(
    rosa: User, sample: Sample, flag: SampleFlag
) -> None:
    samples.withhold(sample, by=None, reason="A copy was found")
    assert as_user(rosa).get(address("flag_audio", flag)).status_code == 200


def test_each_reviewer_leaves_one_line_for_a_question_however_often_they_play_it(
    rosa: User, sample: Sample, flag: SampleFlag
) -> None:
    client = as_user(rosa)
    for part in ("bytes=0-9", "bytes=10-99", "bytes=0-"):
        client.get(address("flag_audio", flag), headers={"Range": part})
    client.head(address("flag_audio", flag))
    (line,) = heard_lines(sample)
    assert (line.actor, line.body["review"]) == (rosa, f"flag:{flag.pk}")
    as_user(person("una", "Una Bell", Role.RIGHTS_ADMIN)).get(address("flag_audio", flag))
    assert len(heard_lines(sample)) == 2


def test_only_looking_at_the_page_leaves_no_line(
    rosa: User, sample: Sample, flag: SampleFlag
) -> None:
    as_user(rosa).get(address("flag", flag))
    as_user(rosa).head(address("flag_audio", flag))
    assert heard_lines(sample) == []


def test_nobody_else_hears_it_and_a_refusal_leaves_no_line(
    *, ada: User, ben: User, noor: User, olga: User, sample: Sample, flag: SampleFlag
) -> None:
    for user in (ada, ben, noor, olga):
        assert as_user(user).get(address("flag_audio", flag)).status_code == 404
    assert heard_lines(sample) == []


def test_who_speaks_for_the_party_does_not_judge(
    rosa: User, party: Party, flag: SampleFlag
) -> None:
    party.people.add(rosa)
    client = as_user(rosa)
    page = client.get(address("flag", flag)).content.decode()
    assert not has_seal(page)
    assert "another rights admin answers it" in page
    assert client.get(address("flag_audio", flag)).status_code == 410


def test_what_cannot_take_effect_is_not_offered(
    *, rosa: User, noor: User, party: Party, songs: list[Recording], flag: SampleFlag
) -> None:
    end_permission(songs, party, noor)
    page = as_user(rosa).get(address("flag", flag)).content.decode()
    assert "it may be heard again" not in page
    assert "Dismiss the flag; it stays silent because a permission behind it ended" in page
    assert "I want it out" in page


def test_another_flag_keeps_it_silent_too(
    *, rosa: User, noor: User, run: Run, sample: Sample, flag: SampleFlag
) -> None:
    label = make_party(rosa, "The label", people=[noor])
    run.dataset.items.first().recording.credits.create(party=label, role="MainArtist")
    flags.flag(by=noor, party=label, sample=sample, reason="And ours.")
    page = as_user(rosa).get(address("flag", flag)).content.decode()
    assert "Dismiss the flag; it stays silent because The label objected too" in page


def test_where_nothing_else_stands_a_dismissal_says_that_it_is_heard_again(
    rosa: User, sample: Sample, flag: SampleFlag
) -> None:
    client = as_user(rosa)
    assert "Dismiss: it may be heard again" in client.get(address("flag", flag)).content.decode()
    confirm(client, address("flag_dismiss", flag), {"note": "No."}, at=address("flag", flag))
    assert sample in Sample.objects.audible()


def test_an_answer_whose_effect_changed_since_the_page_was_read_is_asked_again(
    *, rosa: User, noor: User, party: Party, songs: list[Recording], flag: SampleFlag
) -> None:
    client = as_user(rosa)
    seal = seal_on(client.get(address("flag", flag)).content.decode())
    end_permission(songs, party, noor)
    answer = client.post(address("flag_dismiss", flag), {"note": "Typed.", "shown": seal})
    page = answer.content.decode()
    assert (answer.status_code, confirmation.CHANGED in page) == (409, True)
    assert "Typed." in page
    flag.refresh_from_db()
    assert flag.state == SampleFlag.State.OPEN


@pytest.mark.parametrize("name", ["flag_dismiss", "flag_uphold"])
def test_an_answer_without_a_look_is_none(rosa: User, flag: SampleFlag, name: str) -> None:
    assert as_user(rosa).post(address(name, flag), {"note": "x"}).status_code == 409
    flag.refresh_from_db()
    assert flag.state == SampleFlag.State.OPEN


def test_the_protective_answers_are_not_red(
    *, rosa: User, noor: User, sample: Sample, flag: SampleFlag
) -> None:
    assert "danger" not in as_user(rosa).get(address("flag", flag)).content.decode()
    mine = reverse("audio_samples:mine_flag", args=[sample.pk])
    assert "danger" not in as_user(noor).get(mine).content.decode()


def test_an_answered_flag_is_heard_as_the_sample_is(
    rosa: User, sample: Sample, flag: SampleFlag
) -> None:
    flags.uphold(flag, by=rosa, note="Yes.")
    assert as_user(rosa).get(address("flag_audio", flag)).status_code == 410
    assert heard_lines(sample) == []


def test_the_artist_is_not_told_that_a_dismissed_sample_is_heard_where_it_is_not(
    *, rosa: User, noor: User, party: Party, songs: list[Recording], flag: SampleFlag
) -> None:
    end_permission(songs, party, noor)
    flags.dismiss(flag, by=rosa, note="A scale.")
    page = as_user(noor).get(reverse("audio_samples:mine")).content.decode()
    assert "Dismissed" in page
    assert "may be heard again" not in page


def test_silences_name_each_reason_and_end_without_a_stop(
    *, noor: User, party: Party, songs: list[Recording], sample: Sample, flag: SampleFlag
) -> None:
    assert silences.other_silences(sample, except_flag=flag) == []
    samples.withhold(sample, by=None, reason="A copy was found.")
    end_permission(songs, party, noor)
    found = silences.other_silences(sample, except_flag=flag)
    assert found[0] == "it is withheld for good: A copy was found"
    assert found[1].startswith("a permission behind it ended: ")
    assert len(silences.other_silences(sample)) == 3


def test_who_judges_an_item_of_a_case_hears_it_until_it_is_settled(
    *, rosa: User, ada: User, noor: User, party: Party, songs: list[Recording], sample: Sample
) -> None:
    end_permission(songs, party, noor)
    item = CaseItem.objects.get(kind="sample")
    url = reverse("audio_samples:case_audio", args=[item.pk])
    client = as_user(rosa)
    items = reverse("rights:case_items", args=[item.case_id, "sample"])
    settle = reverse("rights:case_settle", args=[item.pk])
    for page in (items, settle):
        assert url in client.get(page).content.decode()
    assert client.get(url, headers={"Range": "bytes=0-9"}).status_code == 206
    assert client.get(url).status_code == 200
    (line,) = heard_lines(sample)
    assert line.body == {"review": f"case:{item.case_id}", "silent": True}
    for user in (ada, noor):
        assert as_user(user).get(url).status_code == 404
    confirm(client, settle, {"outcome": "covered", "note": "Clause 4."}, look=settle)
    assert client.get(url).status_code == 404
