"""Pages of cases and of what an ending would touch: who sees what, and each act in the browser."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments.models import Checkpoint, Project
from portal.models import User
from rights.grants import agreements, lifecycle, preview
from rights.models import (
    CaseItem,
    CaseTask,
    Grant,
    Hold,
    Party,
    Recording,
    RightType,
    Use,
    WithdrawalCase,
)
from rights.withdrawal import cases, impact
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.confirming import confirm
from tests.rights.withdrawal.affected import Line, make_line

pytestmark = pytest.mark.django_db

TRAIN = Use.TRAIN_GENERATIVE
REASON = "We <b>part</b>."


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor & the <b>Tides</b>", people=[noor])


@pytest.fixture
def songs(rosa: User, party: Party) -> list[Recording]:
    return [make_recording(rosa, party, title=f"Salt <i>{n}</i>") for n in range(2)]


@pytest.fixture
def grant(rosa: User, party: Party, songs: list[Recording]) -> Grant:
    # The samples are heard in a listening test.
    allow(rosa, party, Use.EVAL)
    return allow(rosa, party, TRAIN)[0]


@pytest.fixture
def line(ada: User, project: Project, songs: list[Recording], grant: Grant) -> Line:
    project.name = "Secret <u>project</u>"
    project.save()
    return make_line(ada, project, songs)


@pytest.fixture
def case(rosa: User, grant: Grant, line: Line) -> WithdrawalCase:
    lifecycle.withdraw(grant, rosa, REASON)
    return WithdrawalCase.objects.get()


def page(client: Client, user: User, url: str, status: int = 200) -> str:
    client.force_login(user)
    # A rightsholder is sent on to their own page of the same act.
    response = client.get(url, follow=True)
    assert response.status_code == status, url
    return response.content.decode()


def send(client: Client, user: User, url: str, **data: object) -> str:
    client.force_login(user)
    response = client.post(url, data, follow=True)
    # What is refused is the same page again, with the reason.
    assert response.status_code in {200, 409, 422}, url
    return response.content.decode()


def addresses(case: WithdrawalCase) -> dict[str, str]:
    """Address to who may open it: r rights admin, o operator, h its party, s who has a task."""
    item, task = case.items.all()[0], case.tasks.all()[0]
    one = [case.pk]
    return {
        reverse("rights:case", args=one): "rohs",
        reverse("rights:case_items", args=[case.pk, "sample"]): "rohs",
        reverse("rights:case_remedy", args=[case.pk, "sample"]): "r",
        reverse("rights:case_note", args=one): "r",
        reverse("rights:case_close", args=one): "r",
        reverse("rights:case_settle", args=[item.pk]): "r",
        reverse("rights:case_assign", args=[task.pk]): "r",
        reverse("rights:party_leave", args=[case.party_id]): "rh",
    }


def test_each_page_opens_for_those_it_is_for_and_does_not_exist_for_the_others(
    client: Client, case: WithdrawalCase, rosa: User, olga: User, noor: User
) -> None:
    owner, stranger = (
        User.objects.create_user(name, password="p", roles=["researcher"])
        for name in ("owner", "stranger")
    )
    CaseTask.objects.update(owner=owner)
    people = {"r": rosa, "o": olga, "h": noor, "s": owner, "x": stranger}
    for url, roles in addresses(case).items():
        for letter, user in people.items():
            body = page(client, user, url, 200 if letter in roles else 404)
            for raw in ("<b>Tides", "<i>0", "<u>project", "<b>part"):
                assert raw not in body, url


def test_a_party_sees_its_case_in_numbers_and_no_name_of_the_labs_work(
    client: Client, case: WithdrawalCase, noor: User, songs: list[Recording]
) -> None:
    listed = page(client, noor, reverse("rights:cases"))
    assert "Tides" in listed
    body = page(client, noor, case.get_absolute_url())
    items = page(client, noor, reverse("rights:case_items", args=[case.pk, "checkpoint"]))
    for text in (body, items):
        assert "Secret" not in text
        assert "Rosa" not in text
        assert "run 1" not in text
    assert "Checkpoints" in body
    assert "1 withheld" in body
    assert "We &lt;b&gt;part" in body
    assert songs[0].get_absolute_url() in body


def test_another_party_and_a_researcher_see_no_case_at_all(
    client: Client, rosa: User, ada: User, case: WithdrawalCase
) -> None:
    other = User.objects.create_user("other", password="p", roles=["rightsholder"])
    make_party(rosa, "Somebody else", people=[other])
    for user in (other, ada):
        assert "No case with a task for you is open" in page(client, user, reverse("rights:cases"))
        page(client, user, case.get_absolute_url(), 404)


def test_who_has_a_task_sees_names_of_their_own_projects_and_numbers_of_others(
    client: Client, ada: User, ben: User, case: WithdrawalCase, line: Line
) -> None:
    CaseTask.objects.update(owner=ben)
    assert "Secret" not in page(client, ben, case.get_absolute_url())
    assert "1 of other projects" in page(client, ben, case.get_absolute_url())
    CaseTask.objects.update(owner=ada)
    body = page(client, ada, case.get_absolute_url())
    assert "Secret &lt;u&gt;project" in body
    assert line.run.get_absolute_url() in body


def test_a_rights_admin_sees_every_name_and_links_only_where_they_may_look(
    client: Client, rosa: User, case: WithdrawalCase, line: Line
) -> None:
    body = page(client, rosa, case.get_absolute_url())
    assert "Secret &lt;u&gt;project" in body
    assert line.run.get_absolute_url() not in body
    line.run.project.memberships.create(user=rosa, level="viewer")
    assert line.run.get_absolute_url() in page(client, rosa, case.get_absolute_url())


def test_the_ladder_is_shown_whole_with_what_is_due(
    client: Client, rosa: User, case: WithdrawalCase
) -> None:
    body = page(client, rosa, case.get_absolute_url())
    for rung in ("E0", "E1", "E2", "E3", "E4", "E5", "E6"):
        assert rung in body
    assert "No decision since then rests on it." in body
    assert "Recall the samples" in body


def test_the_list_filters_and_marks_what_is_overdue(
    client: Client, rosa: User, case: WithdrawalCase
) -> None:
    cases_url = reverse("rights:cases")
    assert "No case fits" in page(client, rosa, f"{cases_url}?state=overdue")
    assert "No case fits" in page(client, rosa, f"{cases_url}?use=voice")
    assert "No case fits" in page(client, rosa, f"{cases_url}?q=nobody")
    assert "5" in page(client, rosa, f"{cases_url}?q=tides&use=train.generative")
    past = timezone.now() - timedelta(days=91)
    WithdrawalCase.objects.update(opened_at=past)
    case.steps.filter(rung="E6").update(due_at=past + timedelta(days=90))
    assert "Overdue" in page(client, rosa, f"{cases_url}?state=overdue")
    assert "overdue" in page(client, rosa, reverse("rights:home_fragment"))
    assert "Cases (1)" in page(client, rosa, reverse("rights:home"))


def test_a_remedy_says_what_happens_before_it_is_done(
    client: Client, rosa: User, case: WithdrawalCase
) -> None:
    url = reverse("rights:case_remedy", args=[case.pk, "checkpoint"])
    body = page(client, rosa, url)
    assert "Nobody can download these weights" in body
    assert "cannot be undone" in body
    assert Checkpoint.objects.get().retired_at is None
    confirm(client, url, {"note": "See the ticket."})
    assert Checkpoint.objects.get().retired_at is not None
    assert case.items.get(kind="checkpoint").note == "See the ticket."
    assert "None of the checkpoints is open" in send(client, rosa, url)
    assert "end by themselves" in send(
        client, rosa, reverse("rights:case_remedy", args=[case.pk, "run"])
    )
    page(client, rosa, reverse("rights:case_remedy", args=[case.pk, "nonsense"]), 404)


def test_an_item_is_settled_by_hand_with_refusals_beside_the_field(
    client: Client, rosa: User, case: WithdrawalCase
) -> None:
    item = case.items.get(kind="checkpoint")
    url = reverse("rights:case_settle", args=[item.pk])
    body = send(client, rosa, url, outcome="retrained", note="New <one>", replaced_by=item.key)
    assert "learned from the same music" in body
    assert "New &lt;one&gt;" in body
    assert "is not one of the available choices" in send(
        client, rosa, url, outcome="unlearned", note="x"
    )
    confirm(client, url, {"outcome": "covered", "note": "Clause 4."}, look=url)
    item.refresh_from_db()
    assert item.outcome == CaseItem.Outcome.COVERED


def test_unlearning_is_noted_and_settles_nothing(
    client: Client, rosa: User, case: WithdrawalCase
) -> None:
    body = send(client, rosa, reverse("rights:case_note", args=[case.pk]), note="Unlearned.")
    assert "Noted, settles nothing: Unlearned." in body
    assert case.items.get(kind="checkpoint").outcome == CaseItem.Outcome.WITHHELD


def test_a_task_is_given_to_somebody_until_a_day(
    client: Client, rosa: User, ada: User, lou: User, case: WithdrawalCase
) -> None:
    task = case.tasks.all()[0]
    url = reverse("rights:case_assign", args=[task.pk])
    late = (case.due_at + timedelta(days=2)).date().isoformat()
    assert "It was agreed" in send(client, rosa, url, owner=ada.pk, due_at=late)
    soon = (timezone.now() + timedelta(days=2)).date().isoformat()
    assert "Select a valid choice" in send(client, rosa, url, owner=lou.pk, due_at=soon)
    assert "Ada Okafor" in send(client, rosa, url, owner=ada.pk, due_at=soon)


def test_a_case_is_closed_by_somebody_else_once_nothing_is_open(
    client: Client, rosa: User, noor: User, case: WithdrawalCase
) -> None:
    url = reverse("rights:case_close", args=[case.pk])
    assert "are open" in send(client, second_admin(), url, note="Done.")
    for kind in ("dataset", "checkpoint", "sample", "test"):
        cases.remedy(case, kind, rosa)
    assert url not in page(client, rosa, case.get_absolute_url())
    assert "Somebody else" in send(client, rosa, url, note="Done.")
    assert url in page(client, second_admin(), case.get_absolute_url())
    client.force_login(second_admin())
    confirm(client, url, {"note": "Every copy is gone."})
    assert "Every copy is gone." in page(client, noor, case.get_absolute_url())


def test_looking_again_finds_what_is_new(
    client: Client, rosa: User, case: WithdrawalCase, line: Line
) -> None:
    url = reverse("rights:case_refresh", args=[case.pk])
    assert "Nothing new" in send(client, rosa, url)
    Checkpoint.objects.create(run=line.run, step=200, blob=line.checkpoint.blob)
    assert "1 more came out of it" in send(client, rosa, url)


def test_a_withdrawal_shows_what_it_touches_by_name_to_the_lab_and_in_numbers_to_the_party(
    client: Client, rosa: User, noor: User, grant: Grant, line: Line
) -> None:
    url = reverse("rights:grant_withdraw", args=[grant.pk])
    body = page(client, rosa, url)
    for words in ("2 recordings", "Secret &lt;u&gt;project", "run 1", "Listening tests"):
        assert words in body
    assert "run:" not in body
    told = page(client, noor, url)
    assert "Secret" not in told
    assert "2 recordings" in told


def test_an_opt_out_shows_what_it_touches(
    client: Client, rosa: User, noor: User, songs: list[Recording], line: Line
) -> None:
    url = reverse("rights:opt_out_look", args=[songs[0].pk])
    party = Party.objects.get()
    body = send(client, rosa, url, use=TRAIN.value, party=party.pk)
    for words in ("1 recording", "Samples", "Secret &lt;u&gt;project"):
        assert words in body
    mine = reverse("rights:mine_off", args=[songs[0].pk, TRAIN.value])
    assert "Secret" not in page(client, noor, mine)


def test_a_party_leaves_by_one_word_after_it_has_seen_what_that_ends(
    client: Client, noor: User, party: Party, songs: list[Recording], line: Line
) -> None:
    url = reverse("rights:party_leave", args=[party.pk])
    body = page(client, noor, url)
    assert "4 grants" in body
    assert "2 recordings" in body
    assert "Secret" not in body
    client.force_login(noor)
    wrong = confirm(client, url, {"reason": "Enough."})
    assert wrong.status_code == 422
    assert b"This field is required" in wrong.content
    assert not Hold.objects.exists()
    confirm(client, url, {"reason": "Enough.", "understood": "on"})
    training = WithdrawalCase.objects.get(use=TRAIN)
    assert training.recordings.count() == 2
    assert "permits nothing" in page(client, noor, url)
    other = User.objects.create_user("other", password="p", roles=["rightsholder"])
    page(client, other, url, 404)


def offered(rosa: User, party: Party, right: RightType) -> Grant:
    agreement = party.agreements.all()[0]
    return agreements.draft_grant(by=rosa, agreement=agreement, right_type=right, use=Use.STEMS)


def test_an_offer_says_what_it_would_newly_allow_alone_and_with_the_others(
    client: Client, rosa: User, noor: User, party: Party, grant: Grant
) -> None:
    first = offered(rosa, party, RightType.MASTER)
    assert (preview.gain(first).alone, preview.gain(first).covered) == (0, 2)
    assert preview.gain(first).lacking == [(2, "another permission is missing")]
    second = offered(rosa, party, RightType.COMPOSITION)
    gain = preview.gain(first)
    assert (gain.alone, gain.together, gain.offers, gain.lacking) == (0, 2, 1, [])
    lifecycle.activate(second, second_admin())
    url = reverse("rights:grant_gain", args=[first.pk])
    for user in (rosa, noor):
        assert "<strong>2</strong> would newly be allowed" in page(client, user, url)
    client.force_login(rosa)
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    lifecycle.activate(first, second_admin())
    page(client, rosa, url, 404)


def test_an_offer_that_ends_touches_nothing(
    client: Client, rosa: User, party: Party, grant: Grant
) -> None:
    effect = impact.of_ending([offered(rosa, party, RightType.MASTER)])
    assert (effect.count, effect.levels) == (0, [])
