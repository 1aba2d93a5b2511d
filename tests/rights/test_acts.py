"""What is posted is what was shown: every act of this room that cannot be undone, tried alike.

Each act is looked at by its page and confirmed; without the look, with somebody else's, with an old
one, or after something has changed meanwhile, nothing happens and nothing typed is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments.models import Checkpoint, Project
from portal import audit, confirmation
from portal.models import Role, User
from rights import acts
from rights.catalogue import catalogue
from rights.grants import agreements, lifecycle
from rights.models import (
    Grant,
    Party,
    Recording,
    RightType,
    SplitSheet,
    Use,
    WithdrawalCase,
)
from rights.parties import parties
from rights.withdrawal import cases
from tests.catalogue import allow, make_allowed, make_party, make_recording, second_admin
from tests.confirming import confirm, has_seal, seal_on
from tests.conftest import person
from tests.rights.withdrawal.affected import make_line

pytestmark = pytest.mark.django_db

TRAIN = Use.TRAIN_GENERATIVE
WHY = "A reason that was typed."


@dataclass
class World:
    rosa: User
    noor: User
    ada: User
    project: Project
    party: Party
    song: Recording
    grants: list[Grant] = field(default_factory=list)

    def more(self) -> None:
        """Another song of the party: whatever ends for its catalogue ends for this one too."""
        make_recording(self.rosa, self.party)

    def allow(self, *uses: Use, **scope: Any) -> list[Grant]:
        return allow(self.rosa, self.party, *uses, **scope)

    def draft(self, **scope: Any) -> Grant:
        return agreements.draft_grant(
            by=self.rosa, agreement=self.grants[0].agreement, right_type=RightType.MASTER, **scope
        )


@dataclass
class Tried:
    """One act: by whom, where it is posted with what, and what may change before that."""

    user: User
    url: str
    data: dict[str, object]
    change: Callable[[], object]
    look: str = ""
    # What a page shows again of what was typed; empty where nothing is typed.
    typed: str = WHY


@pytest.fixture
def world(rosa: User, noor: User, ada: User, project: Project) -> World:
    party = make_party(rosa, "Mira Solberg", people=[noor])
    made = World(rosa, noor, ada, project, party, make_recording(rosa, party, title="Tidal"))
    made.grants = made.allow(Use.EVAL, TRAIN)
    return made


def grant_of(world: World, use: Use = TRAIN) -> Grant:
    return next(
        grant for grant in world.grants if (grant.use, grant.right_type) == (use, RightType.MASTER)
    )


def opt_out(world: World) -> Tried:
    song = [world.song.pk]
    return Tried(
        world.rosa,
        reverse("rights:opt_out", args=song),
        {"use": TRAIN.value, "party": world.party.pk, "reason": WHY},
        lambda: world.allow(TRAIN, recording=world.song),
        look=reverse("rights:opt_out_look", args=song),
    )


def withdraw(world: World) -> Tried:
    url = reverse("rights:grant_withdraw", args=[grant_of(world).pk])
    return Tried(world.rosa, url, {"reason": WHY}, world.more)


def own_withdraw(world: World) -> Tried:
    url = reverse("rights:mine_grant_withdraw", args=[grant_of(world).pk])
    return Tried(world.noor, url, {"reason": WHY}, world.more)


def own_off(world: World) -> Tried:
    url = reverse("rights:mine_off", args=[world.song.pk, TRAIN.value])
    change = lambda: world.allow(TRAIN, recording=world.song)  # noqa: E731
    return Tried(world.noor, url, {"reason": WHY}, change)


def own_use_off(world: World) -> Tried:
    url = reverse("rights:mine_use_off", args=[world.party.pk, TRAIN.value])
    return Tried(world.noor, url, {"reason": WHY}, lambda: world.draft(use=TRAIN))


def leave(world: World) -> Tried:
    url = reverse("rights:party_leave", args=[world.party.pk])
    data: dict[str, object] = {"reason": WHY, "understood": "on"}
    return Tried(world.noor, url, data, lambda: world.allow(Use.STEMS))


def revoke(world: World) -> Tried:
    agent = make_party(world.rosa, "Lantern")
    mandate = parties.enter_mandate(
        by=world.rosa, holder=world.party, agent=agent, right_types=["composition"]
    )
    parties.approve_mandate(mandate, second_admin())
    allow(world.rosa, agent, Use.STEMS, rights=(RightType.COMPOSITION,))
    url = reverse("rights:mandate_revoke", args=[mandate.pk])
    change = lambda: allow(  # noqa: E731
        world.rosa, agent, Use.FINETUNE, rights=(RightType.COMPOSITION,)
    )
    return Tried(world.noor, url, {"reason": WHY}, change)


def suspend(world: World) -> Tried:
    grant = grant_of(world)

    def change() -> None:
        lifecycle.suspend(grant, second_admin(), "A question.")
        lifecycle.resume(grant, second_admin())

    return Tried(
        world.rosa, reverse("rights:grant_suspend", args=[grant.pk]), {"reason": WHY}, change
    )


def narrower(world: World) -> Tried:
    """The next version is for one family of models; what only the old one covers is lost."""
    made = agreements.change(
        grant_of(world), by=world.rosa, purposes=["research"], territories=["SE"],
        model_family="small", first_version=None, last_version=None, products=[], condition="",
        starts_on=None, ends_on=None,
    )  # fmt: skip
    url = reverse("rights:grant_activate", args=[made.pk])
    return Tried(second_admin(), url, {}, world.more, look=url, typed="")


def own_narrower(world: World) -> Tried:
    tried = narrower(world)
    number = tried.url.split("/")[-3]
    url = reverse("rights:mine_grant_approve", args=[number])
    return Tried(world.noor, url, {}, world.more, look=url, typed="")


def new_split(world: World) -> Tried:
    other = make_party(world.rosa, "Otto Lang")
    url = reverse("rights:recording_split", args=[world.song.pk])
    data: dict[str, object] = {"party_1": other.pk, "share_1": "100"}
    return Tried(world.rosa, url, data, lambda: world.allow(Use.STEMS), look=url, typed="Otto Lang")


def dispute(world: World) -> Tried:
    sheet = SplitSheet.objects.get(recording=world.song, superseded_at=None)
    url = reverse("rights:split_dispute", args=[sheet.pk, world.party.pk])
    return Tried(world.noor, url, {"reason": WHY}, lambda: world.allow(Use.STEMS))


def attach(world: World) -> Tried:
    work = catalogue.add_work(by=world.rosa, title="A quotation")
    url = reverse("rights:recording_work", args=[world.song.pk])
    return Tried(
        world.rosa, url, {"work": work.pk}, lambda: world.allow(Use.STEMS), look=url,
        typed="A quotation",
    )  # fmt: skip


def artist(world: World) -> Tried:
    world.allow(Use.VOICE, rights=tuple(RightType))
    other = make_party(world.rosa, "Another voice")
    url = reverse("rights:recording_credit", args=[world.song.pk])
    data: dict[str, object] = {"party": other.pk, "role": "MainArtist"}
    change = lambda: world.allow(Use.LIKENESS_NAME, rights=tuple(RightType))  # noqa: E731
    return Tried(world.rosa, url, data, change, look=url, typed="Another voice")


def signal(world: World) -> Tried:
    said = b'{"entries": {"cawg.ai_generative_training": {"use": "notAllowed"}}}'
    url = reverse("rights:signal_new")
    data: dict[str, object] = {
        "file": SimpleUploadedFile("said.json", said),
        "scheme": "cawg",
        "isrc": world.song.isrc,
        "source": WHY,
    }
    return Tried(world.rosa, url, data, lambda: world.allow(TRAIN, recording=world.song), look=url)


def case_of(world: World) -> tuple[WithdrawalCase, Any]:
    line = make_line(world.ada, world.project, [world.song])
    lifecycle.withdraw(grant_of(world), world.noor, "Enough.")
    return WithdrawalCase.objects.get(), line


def remedy(world: World) -> Tried:
    case, line = case_of(world)

    def change() -> None:
        Checkpoint.objects.create(run=line.run, step=900, blob=line.checkpoint.blob)
        cases.refresh(case)

    url = reverse("rights:case_remedy", args=[case.pk, "checkpoint"])
    return Tried(world.rosa, url, {"note": WHY}, change)


def close(world: World) -> Tried:
    case, line = case_of(world)
    for kind in ("dataset", "checkpoint", "sample", "test"):
        cases.remedy(case, kind, world.rosa)

    def change() -> None:
        Checkpoint.objects.create(
            run=line.run, step=900, blob=line.checkpoint.blob, retired_at=timezone.now()
        )
        cases.refresh(case)

    return Tried(world.rosa, reverse("rights:case_close", args=[case.pk]), {"note": WHY}, change)


ACTS = [
    opt_out, withdraw, own_withdraw, own_off, own_use_off, leave, revoke, suspend, narrower,
    own_narrower, new_split, dispute, attach, artist, signal, remedy, close,
]  # fmt: skip
each_act = pytest.mark.parametrize("act", ACTS, ids=lambda one: one.__name__)


def shown(client: Client, tried: Tried) -> str:
    """The page that shows the act."""
    if not tried.look:
        return str(client.get(tried.url).content.decode())
    rewind(tried)
    return str(client.post(tried.look, tried.data).content.decode())


def rewind(tried: Tried) -> None:
    if isinstance(file := tried.data.get("file"), SimpleUploadedFile):
        file.seek(0)


def post(client: Client, tried: Tried, seal: str) -> Any:
    rewind(tried)
    return client.post(tried.url, tried.data | {"shown": seal})


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@each_act
def test_looking_does_nothing_and_what_was_shown_is_done_once(
    world: World, act: Callable[[World], Tried]
) -> None:
    tried = act(world)
    client, before = as_user(tried.user), audit.newest_hash()
    page = shown(client, tried)
    assert has_seal(page)
    assert audit.newest_hash() == before
    assert post(client, tried, seal_on(page)).status_code == 302
    done = audit.newest_hash()
    assert done != before
    post(client, tried, seal_on(page))
    assert audit.newest_hash() == done


@each_act
def test_without_a_look_nothing_happens(world: World, act: Callable[[World], Tried]) -> None:
    tried = act(world)
    client, before = as_user(tried.user), audit.newest_hash()
    answer = post(client, tried, "")
    assert answer.status_code in {200, 409}
    page = answer.content.decode()
    assert audit.newest_hash() == before
    assert tried.typed in page
    # It can be confirmed from here, with what was typed.
    assert post(client, tried, seal_on(page)).status_code == 302


@each_act
def test_what_changed_since_the_look_is_shown_again(
    world: World, act: Callable[[World], Tried]
) -> None:
    tried = act(world)
    client = as_user(tried.user)
    page = shown(client, tried)
    tried.change()
    before = audit.newest_hash()
    answer = post(client, tried, seal_on(page))
    again = answer.content.decode()
    assert (answer.status_code, confirmation.CHANGED in again) == (409, True)
    assert audit.newest_hash() == before
    assert tried.typed in again
    assert post(client, tried, seal_on(again)).status_code == 302


@each_act
def test_the_look_of_somebody_else_is_none(world: World, act: Callable[[World], Tried]) -> None:
    tried = act(world)
    if Role.RIGHTSHOLDER in tried.user.roles:
        other = person("mate", "A Mate", Role.RIGHTSHOLDER)
        world.party.people.add(other)
    else:
        other = person("una", "Una Bell", Role.RIGHTS_ADMIN)
    page = shown(as_user(other), tried)
    before = audit.newest_hash()
    answer = post(as_user(tried.user), tried, seal_on(page))
    assert (answer.status_code, confirmation.STALE in answer.content.decode()) == (409, True)
    assert audit.newest_hash() == before


def test_a_page_that_was_left_open_for_a_day_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = withdraw(world)
    client = as_user(tried.user)
    page = shown(client, tried)
    monkeypatch.setattr(confirmation, "GOOD_FOR", timedelta(0))
    assert post(client, tried, seal_on(page)).status_code == 409
    assert grant_of(world) in Grant.objects.filter(status=Grant.Status.ACTIVE)


def test_no_use_and_no_holder_is_chosen_for_anybody(world: World) -> None:
    """Not even where there is one only, and not by the address."""
    client = as_user(world.rosa)
    url = reverse("rights:opt_out", args=[world.song.pk])
    page = client.get(url, {"use": TRAIN.value, "party": world.party.pk}).content.decode()
    assert '<option value="" selected>Choose a use</option>' in page
    assert '<option value="" selected>Choose a holder</option>' in page
    assert page.count("selected>") == 2
    assert not has_seal(page)


def test_the_button_names_the_use_and_the_holder(world: World) -> None:
    tried = opt_out(world)
    page = shown(as_user(world.rosa), tried)
    named = "End <em>Training of generative models</em> for <em>Mira Solberg</em>"
    assert named in page


def test_another_use_than_the_one_that_was_shown_does_not_end(world: World) -> None:
    """The fault as it was found: the effect of one use on the page, and another one chosen."""
    client = as_user(world.rosa)
    tried = opt_out(world)
    data = tried.data | {"use": Use.EVAL.value}
    page = client.post(tried.look, data).content.decode()
    answer = post(client, tried, seal_on(page))
    assert answer.status_code == 409
    assert "End <em>Training of generative models</em>" in answer.content.decode()
    assert not world.song.opt_outs.exists()
    assert post(client, tried, seal_on(answer.content.decode())).status_code == 302
    assert [out.use for out in world.song.opt_outs.all()] == [TRAIN]


def test_a_look_at_an_opt_out_wants_no_reason(world: World) -> None:
    tried = opt_out(world)
    page = as_user(world.rosa).post(tried.look, tried.data | {"reason": ""})
    assert page.status_code == 200
    assert "This field is required" not in page.content.decode()


def test_what_a_run_makes_meanwhile_does_not_keep_a_holder_from_ending_it(world: World) -> None:
    line = make_line(world.ada, world.project, [world.song])
    tried = withdraw(world)
    client = as_user(tried.user)
    page = shown(client, tried)
    Checkpoint.objects.create(run=line.run, step=900, blob=line.checkpoint.blob)
    assert post(client, tried, seal_on(page)).status_code == 302


def test_the_recordings_on_the_page_are_those_that_the_act_holds(world: World) -> None:
    """The figures of a page are worked out by other code than the act: they say the same."""
    world.more()
    some = [
        acts.withdrawing(grant_of(world), by=world.rosa),
        acts.opting_out(world.song, TRAIN, [world.party], by=world.rosa),
        acts.ending_use(world.party, TRAIN, by=world.noor),
        acts.leaving_with_all(world.party, by=world.noor),
    ]
    for act in some:
        found = confirmation.rehearse(act)
        placed = [line.body["recordings"] for line in found.lines if line.verb == "hold.placed"]
        assert {pk for pks in placed for pk in pks} == set(found.content.ids), act.name
        assert found.content.ids


def test_a_grant_that_has_ended_offers_no_button(world: World) -> None:
    tried = withdraw(world)
    lifecycle.withdraw(grant_of(world), world.rosa, "Over.")
    page = shown(as_user(world.rosa), tried)
    assert "is withdrawn already" in page
    assert not has_seal(page)


def test_an_offer_that_ends_a_version_is_not_ticked_away(world: World) -> None:
    tried = narrower(world)
    number = tried.url.split("/")[-3]
    client = as_user(second_admin())
    page = client.get(reverse("rights:waiting"), {"tick": "all"}).content.decode()
    assert f'name="grant" value="{number}"' not in page
    assert "it ends" in page
    client.post(reverse("rights:grants_approve"), {"grant": number})
    assert Grant.objects.get(pk=number).status == Grant.Status.OFFERED


def test_an_offer_that_ends_nothing_is_put_in_force_at_once(world: World) -> None:
    made = world.draft(use=Use.STEMS)
    as_user(second_admin()).post(reverse("rights:grant_activate", args=[made.pk]))
    made.refresh_from_db()
    assert made.status == Grant.Status.ACTIVE


def test_an_item_is_settled_as_it_was_shown(world: World) -> None:
    """What replaces it is told by its name before it is retired for good."""
    case, line = case_of(world)
    item = case.items.get(kind="checkpoint")
    other = make_line(world.ada, world.project, make_allowed(world.rosa, 1))
    url = reverse("rights:case_settle", args=[item.pk])
    data = {"outcome": "retrained", "note": WHY, "replaced_by": str(other.checkpoint.pk)}
    client = as_user(world.rosa)
    page = client.post(url, data).content.decode()
    assert "is retired for good" in page
    assert Checkpoint.objects.get(pk=line.checkpoint.pk).retired_at is None
    wrong = client.post(url, data | {"outcome": "covered", "shown": seal_on(page)})
    assert wrong.status_code == 409
    assert client.post(url, data | {"shown": seal_on(page)}).status_code == 302
    assert Checkpoint.objects.get(pk=line.checkpoint.pk).retired_at is not None


def test_declining_is_no_harm_and_still_as_shown(world: World) -> None:
    offer = world.draft(use=Use.STEMS)
    for name, user in (("grant_decline", world.rosa), ("mine_grant_decline", world.noor)):
        client = as_user(user)
        page = client.get(reverse(f"rights:{name}", args=[offer.pk])).content.decode()
        assert "danger" not in page
        url = reverse(f"rights:{name}", args=[offer.pk])
        assert client.post(url, {"reason": WHY}).status_code == 409
    confirm(as_user(world.noor), url, {"reason": WHY})
    offer.refresh_from_db()
    assert offer.status == Grant.Status.WITHDRAWN
