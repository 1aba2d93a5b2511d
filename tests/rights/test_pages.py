"""Every page of the room, as every role; and each act of a rights admin in the browser's terms."""

from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from portal.models import User
from rights.catalogue import catalogue
from rights.consent import consent
from rights.grants import agreements
from rights.models import (
    Agreement,
    Credit,
    Decision,
    Grant,
    Hold,
    Mandate,
    Party,
    Purpose,
    Recording,
    Release,
    RightType,
    SplitSheet,
    Use,
    Work,
)
from rights.parties import parties
from tests.catalogue import allow, make_party, make_recording, opens, second_admin
from tests.confirming import confirm
from tests.tones import tone

pytestmark = pytest.mark.django_db


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor & the <b>Tides</b>", people=[noor])


@pytest.fixture
def recording(rosa: User, party: Party) -> Recording:
    made = make_recording(rosa, party, title="Salt <script>alert(1)</script>")
    allow(rosa, party, Use.EVAL, Use.TRAIN_GENERATIVE)
    return made


@pytest.fixture
def papers(rosa: User, party: Party, recording: Recording) -> None:
    """One of each thing that has a page."""
    here = consent.Context(Purpose.RESEARCH, "world", "backline")
    consent.check([recording], Use.EVAL, here, by=rosa)
    catalogue.add_release(by=rosa, title="Tides", label=party, tracks=[recording])
    publisher = make_party(rosa, "Lantern")
    parties.enter_mandate(by=rosa, holder=party, agent=publisher, right_types=["master"])


@pytest.fixture
def everyone(rosa: User, ada: User, olga: User, noor: User, lou: User) -> dict[str, User]:
    """By the letters of `addresses`; l is a listener."""
    return {"r": rosa, "s": ada, "o": olga, "h": noor, "l": lou}


def addresses(recording: Recording) -> dict[str, str]:
    """Name to the roles that may open it; r rights admin, s researcher, o operator, h holder."""
    work, grant = recording.works.get(), Grant.objects.all()[0]
    one, party = [recording.pk], grant.grantor
    decision, release, mandate = (
        Decision.objects.get(),
        Release.objects.get(),
        Mandate.objects.get(),
    )
    return {
        reverse("rights:home"): "rso",
        reverse("rights:home_fragment"): "r",
        reverse("rights:parties"): "rso",
        reverse("rights:party", args=[grant.grantor_id]): "rso",
        reverse("rights:party_new"): "r",
        reverse("rights:party_amend", args=[party.pk]): "r",
        reverse("rights:find", args=["party"]) + "?q=tides": "r",
        reverse("rights:releases"): "rso",
        reverse("rights:release", args=[release.pk]): "rso",
        reverse("rights:release_new"): "r",
        reverse("rights:decisions"): "rso",
        reverse("rights:decision", args=[decision.pk]): "rso",
        reverse("rights:mandates"): "roh",
        reverse("rights:mandate", args=[mandate.pk]): "roh",
        reverse("rights:mandate_new"): "r",
        reverse("rights:mandate_revoke", args=[mandate.pk]): "rh",
        reverse("rights:works"): "rso",
        reverse("rights:work", args=[work.pk]): "rsoh",
        reverse("rights:work_new"): "r",
        reverse("rights:work_split", args=[work.pk]): "r",
        reverse("rights:recordings"): "rso",
        reverse("rights:recording", args=one): "rsoh",
        reverse("rights:recording_audio", args=one): "rsoh",
        reverse("rights:recording_split", args=one): "r",
        reverse("rights:upload"): "r",
        reverse("rights:why", args=one): "rsoh",
        reverse("rights:opt_out", args=one): "rh",
        reverse("rights:agreements"): "roh",
        reverse("rights:agreement", args=[grant.agreement_id]): "roh",
        reverse("rights:agreement_new"): "r",
        reverse("rights:grants"): "roh",
        reverse("rights:grant", args=[grant.pk]): "roh",
        reverse("rights:grant_new"): "r",
        reverse("rights:waiting"): "roh",
        reverse("rights:grant_change", args=[grant.pk]): "r",
        reverse("rights:grant_decline", args=[grant.pk]): "rh",
        reverse("rights:grant_suspend", args=[grant.pk]): "r",
        reverse("rights:grant_resume", args=[grant.pk]): "r",
        reverse("rights:grant_withdraw", args=[grant.pk]): "rh",
        reverse("rights:mine"): "h",
        reverse("rights:mine_fragment"): "h",
        reverse("rights:mine_recording", args=one): "h",
    }


@pytest.mark.usefixtures("papers")
def test_each_page_opens_for_its_roles_and_does_not_exist_for_others(
    client: Client, recording: Recording, everyone: dict[str, User]
) -> None:
    for letter, user in everyone.items():
        client.force_login(user)
        for address, letters in addresses(recording).items():
            response = client.get(address)
            found = opens(response) if letter in letters else response.status_code == 404
            assert found, f"{user} at {address}: {response.status_code}"


def test_a_rightsholder_does_not_see_other_peoples_music(
    client: Client, rosa: User, noor: User, recording: Recording
) -> None:
    stranger = make_party(rosa, "Somebody Else")
    other = make_recording(rosa, stranger)
    (grant, *_) = allow(rosa, stranger, Use.EVAL)
    client.force_login(noor)
    for name in ("recording", "why", "opt_out", "recording_audio", "mine_recording"):
        assert client.get(reverse(f"rights:{name}", args=[other.pk])).status_code == 404
    for name in ("grant", "grant_withdraw"):
        assert client.get(reverse(f"rights:{name}", args=[grant.pk])).status_code == 404
    assert client.get(reverse("rights:agreement", args=[grant.agreement_id])).status_code == 404
    assert "Somebody Else" not in client.get(reverse("rights:grants")).content.decode()
    (sheet,) = other.splits.all()
    for name in ("split_confirm", "split_dispute"):
        address = reverse(f"rights:{name}", args=[sheet.pk, stranger.pk])
        assert client.post(address, {"reason": "mine"}).status_code == 404


def test_only_rights_admins_write(
    client: Client, recording: Recording, everyone: dict[str, User]
) -> None:
    grant = Grant.objects.all()[0]
    del everyone["r"]
    for user in everyone.values():
        client.force_login(user)
        for name, args in (
            ("party_new", []),
            ("work_new", []),
            ("upload", []),
            ("agreement_new", []),
            ("grant_new", []),
            ("grant_activate", [grant.pk]),
            ("grants_approve", []),
            ("grant_change_look", [grant.pk]),
            ("party_amend", [grant.grantor_id]),
            ("party_identify", [grant.grantor_id]),
            ("release_new", []),
            ("mandate_new", []),
            ("recording_file", [recording.pk]),
            ("recording_stem", [recording.pk]),
            ("recording_credit", [recording.pk]),
            ("recording_work", [recording.pk]),
            ("recording_split", [recording.pk]),
            ("work_credit", [recording.works.get().pk]),
        ):
            assert client.post(reverse(f"rights:{name}", args=args)).status_code == 404, name


@pytest.mark.usefixtures("papers")
def test_html_in_names_is_shown_and_not_run(
    client: Client, rosa: User, recording: Recording
) -> None:
    client.force_login(rosa)
    for address in addresses(recording):
        body = client.get(address).getvalue()
        assert b"<script>alert" not in body
        assert b"<b>Tides" not in body


def test_a_rights_admin_builds_a_catalogue_in_the_browser(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    client.post(reverse("rights:party_new"), {"name": "Mira Sol", "kind": "person"})
    party = Party.objects.get(name="Mira Sol")
    client.post(reverse("rights:work_new"), {"title": "Tidal", "iswc": "T-034.524.680-1"})
    work = Work.objects.get(iswc="T0345246801")
    file = SimpleUploadedFile("tidal.flac", tone().getvalue())
    client.post(
        reverse("rights:upload"),
        {"file": file, "title": "Tidal", "isrc": "US-SKG-19-12345", "works": [work.pk]}
        | {"artist": party.pk, "genre": "ambient", "tempo": "90"},
    )
    recording = Recording.objects.get(isrc="USSKG1912345")
    assert recording.tags == {"genre": "ambient", "tempo": 90}
    for name, subject in (("work", work), ("recording", recording)):
        lines = {"party_1": party.pk, "share_1": "100"}
        client.post(reverse(f"rights:{name}_split", args=[subject.pk]), lines)
        (sheet,) = subject.splits.all()
        client.post(reverse("rights:split_confirm", args=[sheet.pk, party.pk]))
        sheet.refresh_from_db()
        assert sheet.status == SplitSheet.Status.CONFIRMED
    client.post(
        reverse("rights:agreement_new"),
        {"counterparty": party.pk, "title": "Yes", "signed_on": "2026-01-01"},
    )
    agreement = Agreement.objects.get()
    client.post(
        reverse("rights:grant_new"),
        {"agreement": agreement.pk, "uses": ["eval"], "rights": ["composition", "master"]}
        | {"purposes": ["research"], "territories": ["world"]},
    )
    why = reverse("rights:why", args=[recording.pk])
    assert "is not allowed" in client.get(why, {"use": "eval"}).content.decode()
    activate = [
        reverse("rights:grant_activate", args=[grant.pk]) for grant in agreement.grants.all()
    ]
    # Who drafted them does not put them in force.
    shown = client.post(activate[0], follow=True).content.decode()
    assert "Who drafts a grant does not approve it" in shown
    client.force_login(second_admin())
    for address in activate:
        client.post(address)
    client.force_login(rosa)
    assert "is allowed: every right" in client.get(why, {"use": "eval"}).content.decode()
    address = reverse("rights:opt_out", args=[recording.pk])
    no = {"use": "eval", "party": party.pk, "reason": "Not this one."}
    look = reverse("rights:opt_out_look", args=[recording.pk])
    assert "What this touches" in client.post(look, no).content.decode()
    confirm(client, address, no, look=look)
    assert Hold.objects.filter(recording=recording, use="eval").count() == 2
    page = client.get(why, {"use": "eval"}).content.decode()
    assert "Mira Sol (100 % of the master “Tidal”) opted this recording out" in page


def test_a_bad_upload_says_so_beside_the_file_and_leaves_nothing(
    client: Client, rosa: User
) -> None:
    client.force_login(rosa)
    response = client.post(
        reverse("rights:upload"),
        {"file": SimpleUploadedFile("a.wav", b"nonsense"), "title": "A", "new_work": "A"},
    )
    (error,) = response.context["form"].errors["file"]
    assert error.startswith("The file could not be decoded: it is broken, or not audio.")
    assert not Work.objects.exists()
    assert not Recording.objects.exists()
    response = client.post(
        reverse("rights:upload"), {"file": SimpleUploadedFile("a.wav", b""), "title": "A"}
    )
    assert "file is empty" in response.context["form"].errors["file"][0]


def test_identifiers_are_refused_beside_their_fields(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    form = client.post(
        reverse("rights:party_new"), {"name": "X", "kind": "person", "ipi_name": "00000000198"}
    ).context["form"]
    assert "is not an IPI name number" in form.errors["ipi_name"][0]
    form = client.post(reverse("rights:work_new"), {"title": "X", "iswc": "T-034.524.680-2"})
    assert "is not an ISWC" in form.context["form"].errors["iswc"][0]


def test_a_split_that_does_not_make_100_percent_is_refused(
    client: Client, rosa: User, recording: Recording, party: Party
) -> None:
    client.force_login(rosa)
    response = client.post(
        reverse("rights:recording_split", args=[recording.pk]),
        {"party_1": party.pk, "share_1": "99.5"},
    )
    assert "must make exactly 100" in response.content.decode()
    assert recording.splits.count() == 1


def test_withdrawing_previews_its_effect_and_asks_for_a_reason(
    client: Client, noor: User, recording: Recording
) -> None:
    client.force_login(noor)
    grant = Grant.objects.get(use=Use.TRAIN_GENERATIVE, right_type=RightType.MASTER)
    address = reverse("rights:mine_grant_withdraw", args=[grant.pk])
    assert "1 recording" in client.get(address).content.decode()
    client.post(address, {"reason": ""})
    grant.refresh_from_db()
    assert grant.status == Grant.Status.ACTIVE
    confirm(client, address, {"reason": "I changed my mind."})
    grant.refresh_from_db()
    assert grant.status == Grant.Status.WITHDRAWN


def test_search_finds_titles_artists_and_codes(
    client: Client, ada: User, recording: Recording, party: Party
) -> None:
    client.force_login(ada)
    for query in ("salt", "tides", recording.isrc, "QZ-ABC-26"):
        response = client.get(reverse("rights:recordings"), {"q": query})
        assert list(response.context["page"]) == [recording], query
    assert not client.get(reverse("rights:recordings"), {"q": "nothing"}).context["page"]


def test_why_explains_scope_and_survives_nonsense(
    client: Client, ada: User, recording: Recording
) -> None:
    client.force_login(ada)
    address = reverse("rights:why", args=[recording.pk])
    page = client.get(address, {"use": "eval", "purpose": "commercial"}).content.decode()
    assert "for commercial products" in page
    for nonsense in ({"use": "x"}, {"territory": "ZZ"}, {"at": "never"}, {"use": ""}):
        assert client.get(address, nonsense).status_code == 200


def test_audio_is_served_in_ranges(client: Client, rosa: User, recording: Recording) -> None:
    client.force_login(rosa)
    address = reverse("rights:recording_audio", args=[recording.pk])
    response = client.get(address, headers={"Range": "bytes=0-3"})
    assert response.status_code == 206
    assert response.getvalue() == b"fLaC"


def test_the_list_page_asks_no_more_for_more_recordings(
    client: Client, ada: User, rosa: User, party: Party, django_assert_max_num_queries: object
) -> None:
    for _ in range(4):
        make_recording(rosa, party)
    client.force_login(ada)
    with django_assert_max_num_queries(22):  # type: ignore[operator]
        client.get(reverse("rights:recordings"))


def test_credits_and_works_are_added_on_the_recording_page(
    client: Client, rosa: User, recording: Recording, party: Party
) -> None:
    client.force_login(rosa)
    client.post(
        reverse("rights:recording_credit", args=[recording.pk]),
        {"party": party.pk, "role": "StudioMusician", "instrument": "cello"},
    )
    assert Credit.objects.filter(recording=recording, instrument="cello").exists()
    work = catalogue.add_work(by=rosa, title="A quotation")
    attach = reverse("rights:recording_work", args=[recording.pk])
    confirm(client, attach, {"work": work.pk}, look=attach)
    assert recording.works.count() == 2
    assert Hold.objects.filter(recording=recording).count() == 2


def test_an_agreement_keeps_its_paper(client: Client, rosa: User, party: Party) -> None:
    client.force_login(rosa)
    client.post(
        reverse("rights:agreement_new"),
        {"counterparty": party.pk, "title": "P", "signed_on": date(2026, 1, 1).isoformat()}
        | {"document": SimpleUploadedFile("p.pdf", b"%PDF-1.7 signed")},
    )
    agreement = Agreement.objects.get()
    response = client.get(reverse("rights:agreement_document", args=[agreement.pk]))
    assert response.getvalue() == b"%PDF-1.7 signed"
    assert "attachment" in response.headers["Content-Disposition"]
    with pytest.raises(agreements.Refused):
        agreements.sign(by=rosa, counterparty=party, title="", signed_on=date(2026, 1, 1))
