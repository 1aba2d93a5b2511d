"""The public page of a model: who publishes it, what it says, and what it never says."""

import json
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext

from experiments.clearance.permission import NotPermitted
from experiments.models import Checkpoint, Membership, Project, Run
from experiments.models.publishing import ModelPage, ModelPageText
from experiments.publishing import page_cache, page_data, pages, summary
from experiments.publishing.texts import PARTS
from experiments.runs import datasets, runs
from portal import audit
from portal.models import Blob, User
from rights.catalogue import catalogue
from rights.errors import Refused
from rights.grants import agreements, lifecycle
from rights.models import (
    Grant,
    Party,
    Purpose,
    Recording,
    RightType,
    UsageEvent,
    Use,
    WithdrawalCase,
    WithdrawalPolicy,
)
from rights.parties import public_credit, splits
from rights.usage import ledger
from rights.withdrawal import cases, impact
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.confirming import confirm
from tests.conftest import person

TEXTS = {"about": "It makes short techno loops.", "provider": "Backline lab, rights@lab.example"}
EVERY = ("", "training-content/", "training-content/print/", "training-content.json")


@dataclass
class World:
    """A run that learned from several artists, with a checkpoint, and its page."""

    owner: User
    admin: User
    project: Project
    artists: list[Party]
    songs: list[Recording]
    run: Run
    checkpoint: Checkpoint
    grants: list[Grant]

    def ask(self, **fields: object) -> ModelPage:
        given = {"title": "First light", "version": "1.0", "parts": TEXTS} | fields
        return pages.ask(
            by=self.owner,
            project=self.project,
            run=self.run,
            checkpoint=self.checkpoint,
            **given,  # type: ignore[arg-type]
        )

    def publish(self, **fields: object) -> ModelPage:
        page = self.ask(**fields)
        return pages.approve(by=self.admin, text=page.texts.get())


def trained(
    owner: User, project: Project, songs: list[Recording], name: str = "demo", **fields: object
) -> tuple[Run, Checkpoint]:
    """A run over the songs that has heard 3 s of the first, 6 s of the second and so on."""
    dataset = datasets.freeze(
        by=owner, project=project, name=name, recordings=songs, use=Use.TRAIN_GENERATIVE
    )
    run = runs.submit(
        by=owner, project=project, recipe="tone_check", config={}, resources={"cpus": 1}
    )
    Run.objects.filter(pk=run.pk).update(
        dataset=dataset,
        use=Use.TRAIN_GENERATIVE,
        decision=dataset.decision,
        state=Run.State.FINISHED,
        **fields,
    )
    run = Run.objects.select_related("dataset", "decision", "project").get(pk=run.pk)
    used = dataset.items.filter(included=True).order_by("pk").values_list("recording", flat=True)
    ledger.report(
        ledger.Event(pk, run.use, f"run:{run.pk}", 100, 2 * (n + 1), 3.0 * (n + 1))
        for n, pk in enumerate(used)
    )
    blob, _ = Blob.objects.get_or_create(
        sha256=str(run.number % 10) * 64, defaults={"size": 1, "media_type": "x/y"}
    )
    return run, Checkpoint.objects.create(run=run, step=100, blob=blob)


def signed(admin: User, party: Party, policy: WithdrawalPolicy) -> list[Grant]:
    """Both rights for generative training, under an agreement with this policy."""
    agreement = agreements.sign(
        by=admin,
        counterparty=party,
        title=f"Agreement with {party}",
        signed_on=date(2026, 1, 1),
        withdrawal_policy=policy,
    )
    return [
        lifecycle.activate(
            agreements.draft_grant(
                by=admin,
                agreement=agreement,
                right_type=right,
                use=Use.TRAIN_GENERATIVE,
                purposes=[Purpose.RESEARCH],
            ),
            second_admin(),
        )
        for right in (RightType.COMPOSITION, RightType.MASTER)
    ]


def make_world(
    owner: User,
    admin: User,
    project: Project,
    count: int = 3,
    policy: WithdrawalPolicy = WithdrawalPolicy.RECALL,
) -> World:
    artists = [
        make_party(admin, f"Artist Number {n}", contact=f"secret{n}@home.example")
        for n in range(count)
    ]
    songs = [make_recording(admin, party, title=f"Track of {n}") for n, party in enumerate(artists)]
    grants = [grant for party in artists for grant in signed(admin, party, policy)]
    run, checkpoint = trained(owner, project, songs)
    return World(owner, admin, project, artists, songs, run, checkpoint, grants)


@pytest.fixture
def world(ada: User, rosa: User, project: Project) -> World:
    return make_world(ada, rosa, project)


def read(path: str = "") -> str:
    """As a stranger reads it."""
    answer = Client().get(f"/models/first-light-10/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def choose(party: Party, credit: str, **fields: object) -> None:
    admin = second_admin()
    public_credit.choose(by=admin, party=party, credit=credit, **fields)  # type: ignore[arg-type]


# --- Who publishes --------------------------------------------------------------------------


def test_a_page_is_nobodys_until_a_rights_admin_has_approved_it(world: World) -> None:
    page = world.ask()
    assert page.slug == "first-light-10"
    for path in EVERY:
        assert Client().get(f"/models/first-light-10/{path}").status_code == 404
    assert "First light" not in Client().get("/models/").content.decode()
    pages.approve(by=world.admin, text=page.texts.get())
    for path in EVERY:
        assert Client().get(f"/models/first-light-10/{path}").status_code == 200
    assert "First light" in Client().get("/models/").content.decode()
    page.refresh_from_db()
    assert (page.published_by, page.approved_by) == (world.owner, world.admin)
    assert [line.verb for line in audit.history(page)] == ["model.published", "model.asked"]


def test_four_eyes_also_where_one_person_has_both_roles(world: World) -> None:
    world.owner.roles = ["researcher", "rights_admin"]
    world.owner.save()
    page = world.ask()
    with pytest.raises(Refused, match="Somebody else"):
        pages.approve(by=world.owner, text=page.texts.get())
    with pytest.raises(Refused, match="rights admin"):
        pages.approve(by=person("max", "Max"), text=page.texts.get())
    assert not ModelPage.objects.public().exists()


def test_only_owners_ask(world: World, ben: User) -> None:
    Membership.objects.create(project=world.project, user=ben, level=Membership.Level.MEMBER)
    world.owner = ben
    with pytest.raises(NotPermitted):
        world.ask()


def test_a_refused_page_stays_unread_and_its_owner_writes_it_anew(world: World) -> None:
    page = world.ask()
    pages.refuse(by=world.admin, text=page.texts.get(), reason="Say what it is for.")
    assert Client().get("/models/first-light-10/").status_code == 404
    text = pages.reword(by=world.owner, page=page, parts=TEXTS | {"about": "For dancers."})
    assert text.number == 2
    pages.approve(by=world.admin, text=text)
    assert "For dancers." in read()


def test_new_texts_are_read_when_they_are_approved_and_old_ones_are_kept(world: World) -> None:
    page = world.publish()
    text = pages.reword(by=world.owner, page=page, parts=TEXTS | {"languages": "Portuguese"})
    assert "Portuguese" not in read("training-content/")
    pages.approve(by=world.admin, text=text)
    assert "Portuguese" in read("training-content/")
    assert json.loads(read("training-content.json"))["text_version"] == 2
    assert page.texts.get(number=1).parts["about"] == TEXTS["about"]
    with pytest.raises(Refused, match="answered already"):
        pages.approve(by=world.admin, text=ModelPageText.objects.get(page=page, number=1))


def test_a_model_of_which_no_use_is_reported_has_no_page(
    world: World, ada: User, project: Project
) -> None:
    run, checkpoint = trained(ada, project, world.songs, "other")
    Checkpoint.objects.filter(pk=checkpoint.pk).update(step=5)
    checkpoint.refresh_from_db()
    with pytest.raises(Refused, match="No use is reported"):
        pages.ask(
            by=ada, project=project, run=run, checkpoint=checkpoint,
            title="x", version="1", parts=TEXTS,
        )  # fmt: skip


# --- What it says ---------------------------------------------------------------------------


def test_numbers_are_those_of_the_ledger(world: World) -> None:
    page = world.publish()
    sums = UsageEvent.objects.filter(source=f"run:{world.run.pk}").aggregate(
        Sum("seconds"), Sum("examples")
    )
    seen = page_data.load_page_data(page_data.PAGES.get(pk=page.pk), page.texts.get())
    lines = seen.learned.lines
    assert seen.learned.seconds == sums["seconds__sum"] == 18.0
    assert seen.learned.examples == sums["examples__sum"] == 12
    assert sum(line.seconds for line in lines) == seen.learned.seconds
    assert sum(line.share for line in lines) == pytest.approx(1)
    assert [line.names for line in lines] == [
        ("Artist Number 2",),
        ("Artist Number 1",),
        ("Artist Number 0",),
    ]
    figures = json.loads(read("training-content.json"))["figures"]
    assert figures["recordings"] == 3
    assert figures["hours"] == round(sum(song.duration for song in world.songs) / 3600, 6)
    assert figures["hours_heard"] == round(18 / 3600, 6)
    assert (figures["agreements"], figures["rightsholders"]) == (3, 3)
    assert figures["rightsholders_by_kind"][0]["kind"] == "Person"
    text = read()
    assert "50 %" in text
    assert "seconds of audio used in training" in text


def test_use_after_the_checkpoint_does_not_count(world: World) -> None:
    ledger.report(
        [ledger.Event(world.songs[0].pk, world.run.use, f"run:{world.run.pk}", 200, 9, 99)]
    )
    world.publish()
    assert json.loads(read("training-content.json"))["figures"]["hours_heard"] == 0.005


def test_what_the_weights_had_learned_before_counts_too(
    world: World, ada: User, rosa: User, project: Project
) -> None:
    other = make_party(rosa, "Newcomer")
    song = make_recording(rosa, other)
    allow(rosa, other, Use.TRAIN_GENERATIVE)
    run, checkpoint = trained(ada, project, [song], "more", start_from=world.checkpoint)
    page = pages.ask(
        by=ada, project=project, run=run, checkpoint=checkpoint,
        title="First light", version="1.0", parts=TEXTS,
    )  # fmt: skip
    pages.approve(by=rosa, text=page.texts.get())
    text = read()
    assert "Newcomer" in text
    assert "Artist Number 0" in text
    assert json.loads(read("training-content.json"))["figures"]["hours_heard"] == round(
        21 / 3600, 6
    )
    assert "1 earlier model of the provider without a public page" in read("training-content/")


def test_every_question_of_the_template_has_an_answer(world: World) -> None:
    world.publish()
    found = json.loads(read("training-content.json"))
    numbers = [section["number"] for section in found["sections"]]
    assert numbers == ["1.1", "1.2", "1.3", "2.1", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6",
                       "3.1", "3.2", "3.3"]  # fmt: skip
    assert all(e["answer"] for section in found["sections"] for e in section["entries"])
    for path in ("training-content/", "training-content/print/"):
        text = read(path)
        for section in found["sections"]:
            assert f"{section['number']}. " in text
    assert "Yes: 3 agreements with 3 rightsholders, for 3 recordings" in read("training-content/")


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0, "Less than 10 000 hours"),
        (10_000, "Less than 10 000 hours"),
        (10_001, "10 000 to 1 million hours"),
        (2e6, "More than 1 million hours"),
    ],
)
def test_hours_fall_in_the_ranges_of_the_template(hours: float, words: str) -> None:
    assert summary.size_range(hours) == words


def test_what_was_asked_for_and_not_allowed_is_counted_and_not_named(
    world: World, ada: User, rosa: User, project: Project
) -> None:
    stranger = make_party(rosa, "Someone Who Refused")
    denied = make_recording(rosa, stranger, title="Never Allowed")
    run, checkpoint = trained(ada, project, [*world.songs, denied], "wider")
    world.run, world.checkpoint = run, checkpoint
    world.publish()
    for path in EVERY:
        text = read(path)
        assert "Refused" not in text
        assert "Never Allowed" not in text
    assert "1 recording that had been asked for" in read()


# --- The wording of each party --------------------------------------------------------------


def test_a_change_of_wording_shows_at_once(world: World) -> None:
    world.publish()
    assert "Artist Number 0" in read()
    choose(world.artists[0], "wording", wording="a singer from Leeds")
    text = read()
    assert "a singer from Leeds" in text
    assert "Artist Number 0" not in text


def test_who_is_not_named_is_in_no_format(world: World) -> None:
    choose(world.artists[0], "name", titles=True)
    world.publish(parts=TEXTS | {"about": "With music of Artist Number 1 and others."})
    hidden = world.artists[1]
    Recording.objects.filter(pk=world.songs[0].pk).update(title="Duet (feat. Artist Number 1)")
    choose(world.artists[2], "wording", wording="a friend of Artist Number 1")
    choose(hidden, "unnamed")
    for path in EVERY:
        text = read(path)
        assert "Artist Number 1" not in text
        assert "Track of 1" not in text
    text = read()
    assert "and 1 who chose not to be named" in text
    assert "33 %" in text
    with pytest.raises(Refused, match="not named in public"):
        pages.reword(
            by=world.owner,
            page=ModelPage.objects.get(),
            parts=TEXTS | {"about": "Thanks, Artist Number 1!"},
        )


def test_a_title_with_the_name_of_somebody_who_hides_later_loses_it(world: World) -> None:
    world.publish(title="Artist Number 1 engine", slug="first-light-10")
    choose(world.artists[1], "unnamed")
    for text in (read(), Client().get("/models/").content.decode()):
        assert "Artist Number 1" not in text


def test_titles_are_listed_where_all_who_are_credited_allow_it(world: World, rosa: User) -> None:
    world.publish()
    assert "Track of 0" not in read()
    choose(world.artists[0], "name", titles=True)
    assert "Track of 0" in read()
    assert "Track of 1" not in read()
    # Somebody who holds a share and is not named: the title would lead to them.
    guest = make_party(rosa, "Shy Drummer")
    catalogue.add_credit(by=rosa, party=guest, role="StudioMusician", subject=world.songs[0])
    choose(guest, "unnamed")
    assert "Track of 0" not in read()
    assert "Shy Drummer" not in read()


def test_hostile_names_are_text(world: World) -> None:
    bad = "<script>alert(1)</script>"
    Party.objects.filter(pk=world.artists[0].pk).update(name=bad, public_titles=True)
    Recording.objects.filter(pk=world.songs[0].pk).update(title='"><img src=x onerror=alert(2)>')
    world.publish(parts=TEXTS | {"about": "<b onclick=x>bold</b>", "languages": "</dd><iframe>"})
    for path in EVERY[:3]:
        text = read(path)
        assert not re.search(r"<(script|img|iframe|b )", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in read()
    answer = Client().get("/models/first-light-10/training-content.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_nothing_private_is_on_any_page(world: World) -> None:
    agreement = world.grants[0].agreement
    type(agreement).objects.filter(pk=agreement.pk).update(
        title="Paper 77", terms="4 cents per second"
    )
    world.publish()
    for path in EVERY:
        text = read(path)
        for private in (
            "home.example", "Paper 77", "4 cents", "Ada", "Rosa", "QZABC", str(world.run.pk),
            "tone_check", world.project.name + " project", "demo",
        ):  # fmt: skip
            assert private not in text, private


# --- A change of mind -----------------------------------------------------------------------


def test_a_withdrawal_shows_at_once_and_takes_the_name_along(world: World) -> None:
    world.publish()
    choose(world.artists[0], "name", after=True)
    lifecycle.withdraw(world.grants[0], second_admin(), "No longer.")
    for path in EVERY:
        text = read(path)
        assert "Withdrawn" in text
        assert "Artist Number 0" not in text
        assert "No longer." not in text
    assert "and 1 whose permission has ended since" in read()
    assert "Withdrawn" in Client().get("/models/").content.decode()


def test_a_published_model_is_told_before_a_withdrawal_and_stays_in_its_case_until_withdrawn(
    world: World, client: Client
) -> None:
    world.publish()
    world.ask(title="Not yet public")
    levels = {level.kind.name: level for level in impact.of_ending([world.grants[0]]).levels}
    assert [node.label for node in levels["page"].nodes] == ["First light, version 1.0"]
    lifecycle.withdraw(world.grants[0], second_admin(), "No longer.")
    case = WithdrawalCase.objects.get()
    item = case.items.get(kind="page")
    assert (item.label, item.outcome) == ("First light, version 1.0", "withheld")
    assert "Withdraw the published models" in case.tasks.values_list("title", flat=True)
    client.force_login(world.admin)
    assert "First light, version 1.0" in client.get(case.get_absolute_url()).content.decode()
    assert cases.remedy(case, "page", world.admin) == 1
    item.refresh_from_db()
    assert item.outcome == "retired"
    assert ModelPage.objects.get(title="First light").withdrawn_at is not None


def test_a_published_model_goes_with_its_checkpoint(world: World) -> None:
    world.publish()
    lifecycle.withdraw(world.grants[0], second_admin(), "No longer.")
    case = WithdrawalCase.objects.get()
    cases.remedy(case, "checkpoint", world.admin)
    cases.refresh(case)
    assert case.items.get(kind="page").outcome == "retired"


@pytest.mark.parametrize("after", [False, True])
def test_a_model_that_stays_by_agreement_names_who_left_only_if_they_still_want_it(
    ada: User, rosa: User, project: Project, after: bool
) -> None:
    world = make_world(ada, rosa, project, policy=WithdrawalPolicy.NEXT_VERSION)
    world.publish()
    choose(world.artists[0], "name", after=after)
    lifecycle.withdraw(world.grants[0], second_admin(), "No longer.")
    text = read()
    assert "Withdrawn since" not in text
    assert "1 of those who hold rights in what it learned from has ended a permission" in text
    assert ("Artist Number 0" in text) == after
    assert ("and 1 whose permission has ended since" in text) != after


def test_a_permission_that_ends_beside_one_that_still_covers_takes_nothing_from_the_page(
    ada: User, rosa: User, project: Project
) -> None:
    world = make_world(ada, rosa, project)
    # As wide, and in force when the dataset was frozen.
    others = signed(rosa, world.artists[0], WithdrawalPolicy.RECALL)
    world.run, world.checkpoint = trained(ada, project, world.songs, name="again")
    world.publish()
    choose(world.artists[0], "name")
    for grant in others:
        lifecycle.withdraw(grant, second_admin(), "One paper is enough.")
    text = read()
    assert "Withdrawn" not in text
    assert "Artist Number 0" in text


def test_a_dispute_that_is_settled_gives_the_page_back(world: World) -> None:
    world.publish()
    choose(world.artists[0], "name")
    sheet = world.songs[0].splits.get()
    splits.dispute(sheet=sheet, party=world.artists[0], by=second_admin(), reason="Half is hers.")
    assert "Withdrawn" in read()
    settled = splits.propose(
        by=second_admin(), subject=world.songs[0], lines={world.artists[0]: 1_000_000}
    )
    splits.confirm(sheet=settled, party=world.artists[0], by=second_admin())
    text = read()
    assert "Withdrawn" not in text
    assert "Artist Number 0" in text


def test_a_retired_checkpoint_and_a_withdrawal_by_the_lab_show(
    world: World, client: Client
) -> None:
    page = world.publish()
    client.force_login(world.owner)
    assert b"There is no way back" in client.get(f"/publishing/pages/{page.pk}/withdraw/").content
    assert client.post(f"/publishing/pages/{page.pk}/withdraw/").status_code == 422
    assert "The lab has withdrawn this model." not in read()
    confirm(client, f"/publishing/pages/{page.pk}/withdraw/")
    assert "The lab has withdrawn this model." in read()
    with pytest.raises(Refused, match="withdrawn already"):
        pages.withdraw(by=world.owner, page=page)
    with pytest.raises(Refused, match="withdrawn for good"):
        pages.ask(
            by=world.owner, project=page.project, run=page.run, checkpoint=page.checkpoint,
            title="Another name", version="1", parts=TEXTS,
        )  # fmt: skip
    Checkpoint.objects.update(
        retired_at=page.created_at, retired_reason="Artist 0 withdrew: secret"
    )
    assert "retired for good" in read()
    assert "secret" not in read()


def test_a_model_whose_permission_has_ended_is_not_published(world: World) -> None:
    page = world.ask()
    lifecycle.withdraw(world.grants[0], second_admin(), "No longer.")
    with pytest.raises(Refused, match="has ended since"):
        pages.approve(by=world.admin, text=page.texts.get())
    with pytest.raises(Refused, match="has ended"):
        world.ask(slug="again")


# --- How it is served -----------------------------------------------------------------------


def test_it_needs_no_log_in_no_cookie_and_no_script(world: World) -> None:
    world.publish()
    for path in ("/models/", *(f"/models/first-light-10/{path}" for path in EVERY)):
        answer = Client().get(path)
        assert not answer.cookies
        assert "Cookie" not in answer.headers.get("Vary", "")
        assert answer.headers["Cache-Control"] == "public, max-age=10, must-revalidate"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert b"<script" not in answer.content
        again = Client().get(path, headers={"If-None-Match": answer.headers["ETag"]})
        # The summary has the moment it was made in it.
        assert again.status_code == (304 if "training-content" not in path else again.status_code)
        assert Client().post(path).status_code == 405


def test_a_page_is_made_again_only_after_a_change(
    world: World, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not over a minute's end.
    monkeypatch.setattr(page_cache, "SECONDS", 10**9)
    world.publish()
    first = read()
    with django_assert_max_num_queries(8):
        assert read() == first
    ledger.report([ledger.Event(world.songs[0].pk, world.run.use, f"run:{world.run.pk}", 90, 1, 9)])
    later = read()
    assert later != first
    choose(world.artists[0], "wording", wording="a singer from Leeds")
    assert "a singer from Leeds" in read()
    lifecycle.withdraw(world.grants[0], world.admin, "No more.")
    assert "Withdrawn" in read()


def test_as_many_queries_for_ten_recordings_as_for_two(
    ada: User, rosa: User, project: Project
) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert Client().get(path).status_code == 200
        return len(seen)

    small = make_world(ada, rosa, project, 2)
    small.publish()
    counts = [queries(f"/models/first-light-10/{path}") for path in ("", EVERY[3])]
    listed = queries("/models/")
    for party in small.artists:
        Party.objects.filter(pk=party.pk).update(name=f"Elder {party.pk}")
    large = make_world(ada, rosa, project, 10)
    large.publish(slug="large")
    assert [queries(f"/models/large/{path}") for path in ("", EVERY[3])] == counts
    assert queries("/models/") == listed


# --- The pages behind the log-in ------------------------------------------------------------


def test_an_owner_asks_and_a_rights_admin_answers_on_the_pages(
    client: Client, world: World
) -> None:
    client.force_login(world.owner)
    form = client.get("/projects/first-light/models/new/").content.decode()
    assert all(f'name="{part.key}"' in form for part in PARTS)
    sent = TEXTS | {"model": f"checkpoint:{world.checkpoint.pk}", "title": "First light"}
    answer = client.post("/projects/first-light/models/new/", sent)
    assert answer.status_code == 422
    assert b"The version is missing." in answer.content
    assert b"It makes short techno loops." in answer.content
    answer = client.post(
        "/projects/first-light/models/new/", sent | {"version": "1.0"}, follow=True
    )
    assert b"nobody yet" in answer.content
    text = ModelPageText.objects.get()
    assert b"Your answer" not in client.get(f"/publishing/texts/{text.pk}/").content
    assert client.get("/publishing/").status_code == 404

    client.force_login(world.admin)
    assert b"to be published" in client.get("/publishing/").content
    assert b"Your answer" in client.get(f"/publishing/texts/{text.pk}/").content
    refuse, proposed = f"/publishing/texts/{text.pk}/refuse/", f"/publishing/texts/{text.pk}/"
    answer = confirm(client, refuse, {"reason": ""}, at=proposed)
    assert answer.status_code == 422
    confirm(client, f"/publishing/texts/{text.pk}/approve/", at=proposed)
    assert "It makes short techno loops." in read()

    client.force_login(world.owner)
    listed = client.get("/projects/first-light/models/").content.decode()
    assert "Published" in listed
    new = f"/projects/first-light/models/{ModelPage.objects.get().pk}/texts/"
    assert client.post(new, {"about": "", "provider": "x"}).status_code == 422
    client.post(new, TEXTS | {"about": "Longer loops."})
    assert b"waits for a rights admin" in client.get("/projects/first-light/models/").content


def test_strangers_to_a_project_do_not_see_its_asking(
    client: Client, world: World, ben: User
) -> None:
    page = world.ask()
    client.force_login(ben)
    for path in (
        "/projects/first-light/models/",
        f"/projects/first-light/models/{page.pk}/",
        f"/publishing/texts/{page.texts.get().pk}/",
        f"/publishing/pages/{page.pk}/withdraw/",
    ):
        assert client.get(path).status_code == 404
    Membership.objects.create(project=world.project, user=ben, level=Membership.Level.VIEWER)
    assert client.get("/projects/first-light/models/new/").status_code == 403
    assert client.get("/projects/first-light/models/").status_code == 200
