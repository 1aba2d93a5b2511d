"""Nobody else's data, ever: what a rightsholder reaches and reads, page by page."""

import json
from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from audio_samples.models import Sample
from audio_samples.reviews import flags
from experiments.models import Project, Run
from portal import tokens
from portal.models import Role, User
from rights.catalogue import catalogue
from rights.grants import lifecycle
from rights.models import Agreement, Grant, Party, Recording, RightType, Use, WithdrawalCase
from rights.parties import splits
from rights.views.rightsholder import urls
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_party, make_recording
from tests.conftest import person

pytestmark = pytest.mark.django_db
GENERATIVE = Use.TRAIN_GENERATIVE


@pytest.fixture
def max_(db: None) -> User:
    """Another rightsholder."""
    return person("maxprivate", "Maximilian Otherly", Role.RIGHTSHOLDER)


@pytest.fixture
def own(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def foreign(rosa: User, max_: User) -> Party:
    return make_party(rosa, "Foreign Tides", people=[max_], contact="contact@foreign.example")


@dataclass(frozen=True)
class World:
    """Noor's things, those of somebody else, and a sample that learned from both."""

    own: Party
    foreign: Party
    song: Recording
    others: Recording
    sample: Sample


@pytest.fixture
def world(ada: User, rosa: User, own: Party, foreign: Party) -> World:
    """Both have ended another use."""
    project = Project.objects.create(slug="hushhush", name="Hush hush")
    project.memberships.create(user=ada, level="owner")
    song = make_recording(rosa, own, title="Salt")
    others = make_recording(rosa, foreign, title="Foreign song")
    for party, row in ((own, song), (foreign, others)):
        allow(rosa, party, Use.EVAL, GENERATIVE)
        lifecycle.opt_out(row, Use.EVAL, party, rosa, f"Reason of {party}.")
    # A composition that a hidden party holds a part of, so that something is denied.
    hidden = make_party(rosa, "Hidden Publisher")
    run = make_run(ada, project, [song, others])
    Run.objects.filter(pk=run.pk).update(name="Hush run")
    made = make_sample(run, prompt="like Foreign Tides")
    work = catalogue.add_work(by=rosa, title="Second work")
    catalogue.attach_work(by=rosa, recording=song, work=work)
    sheet = splits.propose(by=rosa, subject=work, lines={hidden: 1_000_000})
    splits.confirm(sheet=sheet, party=hidden, by=rosa)
    allow(rosa, own, Use.CONDITION, rights=(RightType.MASTER, RightType.COMPOSITION))
    return World(own, foreign, song, others, made)


SECRETS = (
    "Foreign", "Otherly", "maxprivate", "contact@foreign", "Hidden Publisher", "Hush", "hushhush",
    "Ada", "Okafor", "Rosa", "Lindqvist", "ada@", "rosa@",
)  # fmt: skip


def addresses(party: Party, row: Recording, sample: Sample) -> list[str]:
    """Every page of the artist's about one party's things."""
    grant = Grant.objects.filter(grantor=party, use=GENERATIVE)[0]
    use = GENERATIVE.value
    cases = WithdrawalCase.objects.filter(party=party)
    one, whose, permission = [row.pk], [party.pk], [grant.pk]
    return [
        reverse("rights:mine_recording", args=one),
        reverse("rights:mine_on", args=[*one, use]),
        reverse("rights:mine_off", args=[*one, use]),
        reverse("rights:mine_use_on", args=[*whose, use]),
        reverse("rights:mine_use_off", args=[*whose, use]),
        reverse("rights:mine_grant", args=permission),
        reverse("rights:mine_grant_decline", args=permission),
        reverse("rights:mine_grant_withdraw", args=permission),
        reverse("rights:mine_statement", args=whose),
        reverse("rights:mine_statement_csv", args=whose),
        reverse("rights:mine_statement_json", args=whose),
        reverse("audio_samples:mine") + f"?recording={row.pk}",
        *(reverse("rights:case", args=[case.pk]) for case in cases),
        *(reverse("rights:case_items", args=[case.pk, "run"]) for case in cases),
        reverse("rights:party_leave", args=whose),
        # The lab's own pages of the same things send them to theirs.
        reverse("rights:recording", args=one),
        reverse("rights:recording_audio", args=one),
        reverse("rights:why", args=one),
        reverse("rights:opt_out", args=one),
        reverse("rights:work", args=[row.works.order_by("pk")[0].pk]),
        reverse("rights:grant", args=permission),
        reverse("rights:grant_withdraw", args=permission),
        reverse("rights:grant_decline", args=permission),
        reverse("rights:agreement", args=[Agreement.objects.filter(counterparty=party)[0].pk]),
    ]


SHARED = (
    "rights:mine", "rights:mine_fragment", "rights:mine_uses", "rights:mine_agreements",
    "rights:mine_statements", "rights:mine_everything", "rights:mine_wording", "audio_samples:mine",
    "rights:agreements", "rights:grants", "rights:mandates", "rights:cases", "home",
)  # fmt: skip


def heard(sample: Sample) -> list[str]:
    """The pages of what both have a part in."""
    return [
        reverse("audio_samples:mine_model", args=[sample.run_id]),
        reverse("audio_samples:mine_sample", args=[sample.pk]),
        reverse("audio_samples:mine_flag", args=[sample.pk]),
    ]


def test_the_list_here_names_every_page_of_the_artist(world: World) -> None:
    listed = {
        *addresses(world.own, world.song, world.sample),
        *heard(world.sample),
        *(reverse(name) for name in SHARED),
    }
    names = {get_resolver().resolve(address.partition("?")[0]).view_name for address in listed}
    missing = {f"rights:{pattern.name}" for pattern in urls.urlpatterns} - names
    # It takes no page to approve: the address only acts.
    assert missing == {"rights:mine_grant_approve"}


def test_what_is_anothers_does_not_exist(client: Client, noor: User, world: World) -> None:
    client.force_login(noor)
    for address in addresses(world.foreign, world.others, world.sample):
        assert client.get(address).status_code == 404, address
        assert client.post(address, {"reason": "mine"}).status_code in {404, 405}, address
    grant = Grant.objects.filter(grantor=world.foreign)[0]
    approve = reverse("rights:mine_grant_approve", args=[grant.pk])
    assert client.post(approve).status_code == 404
    (sheet,) = world.others.splits.all()
    for name in ("split_confirm", "split_dispute"):
        address = reverse(f"rights:{name}", args=[sheet.pk, world.foreign.pk])
        assert client.post(address, {"reason": "mine"}).status_code == 404
    assert set(Grant.objects.filter(grantor=world.foreign).values_list("status", flat=True)) == {
        "active"
    }


def test_no_page_of_mine_names_anybody_else(client: Client, noor: User, world: World) -> None:
    client.force_login(noor)
    pages = [
        *addresses(world.own, world.song, world.sample),
        *heard(world.sample),
        *(reverse(name) for name in SHARED),
    ]
    for address in pages:
        response = client.get(address, follow=True)
        assert response.status_code == 200, address
        if response.headers["Content-Type"].startswith("audio/"):
            continue
        text = response.getvalue().decode()
        found = [secret for secret in SECRETS if secret in text]
        assert found == [], address


def test_a_flag_of_another_and_its_answer_are_not_told(
    client: Client, noor: User, max_: User, rosa: User, world: World
) -> None:
    made = flags.flag(by=max_, party=world.foreign, sample=world.sample, reason="Otherly says so.")
    flags.uphold(made, by=rosa, note="Rosa agrees with Otherly.")
    client.force_login(noor)
    for address in [
        *heard(world.sample),
        reverse("audio_samples:mine"),
        reverse("rights:mine_everything"),
    ]:
        text = client.get(address).getvalue().decode()
        assert "Otherly" not in text, address
    gone = client.get(reverse("audio_samples:mine_audio", args=[world.sample.pk]))
    assert (gone.status_code, "Otherly" in gone.content.decode()) == (410, False)


def test_people_of_the_lab_have_no_artists_pages(
    client: Client, ada: User, rosa: User, olga: User, world: World
) -> None:
    names = [name for name in SHARED if name.startswith(("rights:mine", "audio_samples:mine"))]
    for user in (ada, rosa, olga):
        client.force_login(user)
        for address in (
            *addresses(world.own, world.song, world.sample),
            *heard(world.sample),
            *map(reverse, names),
        ):
            if "/mine/" in address:
                assert client.get(address).status_code == 404, address


def test_of_the_lab_a_rightsholder_reaches_nothing(
    client: Client, noor: User, world: World
) -> None:
    sample = world.sample
    run = sample.run
    client.force_login(noor)
    for address in (
        run.get_absolute_url(),
        run.project.get_absolute_url(),
        sample.get_absolute_url(),
        reverse("audio_samples:audio", args=[sample.pk]),
        reverse("audio_samples:spectrogram", args=[sample.pk]),
        reverse("audio_samples:project", args=[run.project.slug]),
        reverse("rights:home"),
        reverse("rights:recordings"),
        reverse("rights:works"),
        reverse("rights:parties"),
        reverse("rights:party", args=[world.own.pk]),
        reverse("rights:decisions"),
        reverse("audio_samples:flags"),
    ):
        assert client.get(address).status_code == 404, address


def test_over_the_api_a_rightsholder_calls_only_for_what_is_theirs(
    client: Client, noor: User, world: World
) -> None:
    _, secret = tokens.issue(user=noor, label="mine")
    headers = {"Authorization": f"Bearer {secret}"}

    def ask(path: str) -> tuple[int, str]:
        response = client.get(f"/api/v1/{path}", headers=headers)
        return response.status_code, response.getvalue().decode()

    status, text = ask("rights/recordings")
    assert (status, [row["title"] for row in json.loads(text)["items"]]) == (200, ["Salt"])
    status, text = ask(f"rights/recordings/{world.song.pk}/why?use=condition")
    assert status == 200
    assert "Another holder of the composition has not allowed it." in text
    assert [secret for secret in SECRETS if secret in text] == []
    grants = set(world.own.grants.values_list("pk", flat=True))
    assert set(json.loads(text)["grants"]) <= grants
    assert ask(f"rights/recordings/{world.others.pk}/why?use=eval")[0] == 404
    assert ask("rights/decisions")[0] == 404
    assert ask("rights/decisions/1/lines")[0] == 404
    assert ask(f"runs/{world.sample.run_id}")[0] == 404
    assert json.loads(ask("projects")[1])["items"] == []


def test_who_also_works_for_the_lab_sees_there_only_their_own_music(
    client: Client, noor: User, world: World
) -> None:
    noor.roles = [Role.RIGHTSHOLDER, Role.RIGHTS_ADMIN]
    noor.save()
    client.force_login(noor)
    text = client.get(reverse("rights:mine")).content.decode()
    assert "Foreign" not in text
    assert client.get(reverse("rights:mine_recording", args=[world.others.pk])).status_code == 404
    data = json.loads(client.get(reverse("rights:mine_everything")).getvalue())
    assert [row["title"] for row in data["repertoire"]] == ["Salt"]
