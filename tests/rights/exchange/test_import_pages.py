"""The pages of imports, exports and signals: the whole way through, and who may see what."""

import base64
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from portal.models import User
from rights.exchange.importing import jobs
from rights.models import ImportJob, Recording, Signal, Use
from tests.catalogue import allow, make_allowed, make_party, make_recording
from tests.confirming import confirm, seal_on
from tests.rights.exchange.importing import checked, imported, song, table, uploaded, work_off

pytestmark = pytest.mark.django_db
State = ImportJob.State


def send(client: Client, content: bytes, name: str = "songs.csv", **more: str) -> ImportJob:
    file = SimpleUploadedFile(name, content)
    response = client.post(reverse("rights:import_new"), {"file": file, **more})
    assert response.status_code == 302, response.content.decode()
    return ImportJob.objects.latest("pk")


def body(response: object) -> str:
    streaming = getattr(response, "streaming_content", None)
    content = b"".join(streaming) if streaming is not None else response.content  # type: ignore[attr-defined]
    return content.decode()


def test_an_admin_sends_maps_looks_and_enters(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    rows = [song(1), song(2, ISRC="no")]
    content = table([{**row, "What is it called": row["Title"]} for row in rows])
    content = content.replace(b"Title,", b"Nothing,", 1)
    job = send(client, content)
    page = client.get(job.get_absolute_url())
    assert "Say how it is read" in page.content.decode()
    form = client.get(reverse("rights:import_check", args=[job.pk]))
    assert "What is it called" in form.content.decode()
    refused = client.post(reverse("rights:import_check", args=[job.pk]), {})
    assert refused.status_code == 200
    assert "required" in refused.content.decode()
    mapped = {f"column_{name}": column for name, column in job.columns.items()}
    mapped["column_title"] = "What is it called"
    answer = client.post(reverse("rights:import_check", args=[job.pk]), mapped)
    assert answer.status_code == 302
    job.refresh_from_db()
    assert job.state == State.CHECKING
    progress = client.get(reverse("rights:import_progress", args=[job.pk]))
    assert "Being checked" in progress.content.decode()
    work_off()
    progress = client.get(reverse("rights:import_progress", args=[job.pk]))
    assert progress.headers["HX-Refresh"] == "true"
    page_text = client.get(job.get_absolute_url()).content.decode()
    assert "is not an ISRC" in page_text
    assert not Recording.objects.exists()
    confirm(client, reverse("rights:import_start", args=[job.pk]), at=job.get_absolute_url())
    work_off()
    job.refresh_from_db()
    assert (job.state, job.added, job.refused) == (State.FINISHED, 1, 1)
    assert Recording.objects.get().title == "Song 1"
    assert "Finished" in client.get(reverse("rights:imports")).content.decode()


def test_the_problems_are_a_file_that_no_program_runs(client: Client, rosa: User) -> None:
    job = checked(rosa, table([song(1, ISRC='=HYPERLINK("x")')]))
    client.force_login(rosa)
    text = body(client.get(reverse("rights:import_problems", args=[job.pk])))
    lines = text.lstrip("\ufeff").splitlines()
    assert lines[0] == "row,field,problem,kind"
    assert lines[1].startswith("1,isrc,")


def test_an_import_is_stopped_and_resumed_on_its_page(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    job = checked(rosa, table([song(1)]))
    confirm(client, reverse("rights:import_start", args=[job.pk]), at=job.get_absolute_url())
    client.post(reverse("rights:import_cancel", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert "Go on after row 0" in client.get(job.get_absolute_url()).content.decode()
    client.post(reverse("rights:import_resume", args=[job.pk]))
    work_off()
    job.refresh_from_db()
    assert job.state == State.FINISHED
    refused = client.post(reverse("rights:import_start", args=[job.pk]), follow=True)
    assert "Have it checked first" in refused.content.decode()


def test_only_the_check_that_was_shown_is_entered(client: Client, rosa: User) -> None:
    """Neither without a look, nor after somebody had it read another way since."""
    client.force_login(rosa)
    job = checked(rosa, table([song(1)]))
    start = reverse("rights:import_start", args=[job.pk])
    client.post(start)
    job.refresh_from_db()
    assert job.state == State.CHECKED
    seal = seal_on(client.get(job.get_absolute_url()).content.decode())
    jobs.check(job, by=rosa, columns=job.columns, propose_splits=True)
    work_off()
    refused = client.post(start, {"shown": seal}, follow=True)
    job.refresh_from_db()
    assert job.state == State.CHECKED
    assert "is not what the page showed you" in refused.content.decode()


def test_a_list_of_yes_and_no_says_on_its_button_what_it_ends(client: Client, rosa: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    allow(rosa, party, Use.EVAL)
    client.force_login(rosa)
    said = f"{recording.isrc} eval no\n".encode()
    job = send(client, said, "said.txt", format="participation", party=str(party.pk))
    client.post(reverse("rights:import_check", args=[job.pk]), {"update_titles": ""})
    work_off()
    page = client.get(job.get_absolute_url()).content.decode()
    assert "Enter 0 yes, and end 1 by a no" in page


def test_a_file_that_cannot_be_read_is_told_beside_the_field(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    file = SimpleUploadedFile("songs.csv", b"\x00\x01\x02PK" * 99)
    answer = client.post(reverse("rights:import_new"), {"file": file, "source": "Label X"})
    text = answer.content.decode()
    assert "not a text file" in text
    assert "Label X" in text
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize("name", ["imports", "import_new", "signals", "signal_new", "exports"])
def test_pages_are_there_for_those_they_are_for(
    client: Client, *, name: str, rosa: User, ada: User, lou: User, noor: User, olga: User
) -> None:
    may = {
        "imports": {rosa}, "import_new": {rosa}, "signals": {rosa, olga}, "signal_new": {rosa},
        "exports": {rosa, olga, noor},
    }[name]  # fmt: skip
    for user in (rosa, ada, lou, noor, olga):
        client.force_login(user)
        status = client.get(reverse(f"rights:{name}")).status_code
        assert status == (200 if user in may else 404), (name, user)


def test_nobody_else_reaches_a_job(client: Client, rosa: User, ada: User, noor: User) -> None:
    job = uploaded(rosa, table([song(1)]))
    for user in (ada, noor):
        client.force_login(user)
        for name in ("import", "import_progress", "import_check", "import_problems"):
            assert client.get(reverse(f"rights:{name}", args=[job.pk])).status_code == 404
        for name in ("import_start", "import_cancel", "import_resume"):
            assert client.post(reverse(f"rights:{name}", args=[job.pk])).status_code == 404


@pytest.mark.parametrize("extension", ["csv", "json", "xml"])
def test_a_rightsholder_exports_their_own_alone(
    client: Client, rosa: User, noor: User, ada: User, extension: str
) -> None:
    party = make_party(rosa, "Noor", people=[noor])
    make_recording(rosa, party, title="Mine")
    make_recording(rosa, make_party(rosa), title="Not mine")
    address = reverse("rights:export", args=[extension])
    client.force_login(noor)
    text = body(client.get(address))
    assert ">Mine<" in text or "Mine" in text
    assert "Not mine" not in text
    client.force_login(rosa)
    assert "Not mine" in body(client.get(address))
    assert "Not mine" not in body(client.get(address, {"q": "QZ0"}))
    client.force_login(ada)
    assert client.get(address).status_code == 404


def test_participation_goes_out_and_comes_back_unchanged(client: Client, rosa: User) -> None:
    party, other = make_party(rosa), make_party(rosa)
    recording = make_recording(rosa, party)
    (grant, *_) = allow(rosa, party, Use.EVAL)
    make_recording(rosa, other)
    client.force_login(rosa)
    text = body(client.get(reverse("rights:export_participation"), {"party": party.pk}))
    assert f"{recording.isrc},eval,yes" in text
    assert f"{recording.isrc},train.generative,no" in text
    assert text.count(recording.isrc) == text.count("\n") - 1
    job = uploaded(
        rosa, text.encode(), "list.csv", format="participation", party=party,
        agreement=grant.agreement,
    )  # fmt: skip
    client.post(reverse("rights:import_check", args=[job.pk]), {})
    work_off()
    job.refresh_from_db()
    assert (job.added, job.changed, job.refused) == (0, 0, 0)


def test_a_signal_is_noted_on_its_page(client: Client, rosa: User) -> None:
    recording = imported(rosa, table([song(1)])) and Recording.objects.get()
    client.force_login(rosa)
    told = {"entries": {"cawg.ai_training": {"use": "notAllowed"}}}
    file = SimpleUploadedFile("assertion.json", json.dumps(told).encode())
    answer = client.post(
        reverse("rights:signal_new"),
        {"file": file, "scheme": "cawg", "isrc": recording.isrc, "source": "song.wav"},
        follow=True,
    )
    text = answer.content.decode()
    assert "It denies these uses of" in text
    assert text.count("Training of classifiers and embeddings") == 2
    assert Signal.objects.get().recording == recording
    shown = client.get(reverse("rights:training_mining", args=[recording.pk])).json()
    assert shown["data"]["entries"]["cawg.ai_training"] == {"use": "notAllowed"}


NO = json.dumps({"entries": {"cawg.ai_training": {"use": "notAllowed"}}})


def one_recording(rosa: User) -> Recording:
    imported(rosa, table([song(1)]))
    return Recording.objects.get()


def signal_fields(recording: Recording, **more: object) -> dict[str, object]:
    return {"isrc": recording.isrc, "source": "song.wav", "scheme": ""} | more


def test_a_pasted_report_is_noted(client: Client, rosa: User) -> None:
    recording = one_recording(rosa)
    client.force_login(rosa)
    pasted = f"$ c2patool song.wav\r\n{NO}\r\nrosa@studio:~$ "
    client.post(reverse("rights:signal_new"), signal_fields(recording, text=pasted))
    signal = Signal.objects.get()
    assert (signal.key, signal.value, signal.scheme) == ("cawg.ai_training", "notAllowed", "cawg")


@pytest.mark.parametrize("escape", [r"\ud800", r"\u0000"])
def test_a_denial_under_an_escape_that_cannot_be_stored_is_noted(
    client: Client, rosa: User, escape: str
) -> None:
    recording = one_recording(rosa)
    client.force_login(rosa)
    pasted = (
        '{"label":"cawg.training-mining","data":{"entries":{"' + escape + '":'
        '{"use":"notAllowed"}}}}'
    )
    answer = client.post(
        reverse("rights:signal_new"), signal_fields(recording, text=pasted), follow=True
    )
    assert answer.status_code == 200
    signal = Signal.objects.get()
    assert (signal.key, signal.denied) == ("\N{REPLACEMENT CHARACTER}", [use.value for use in Use])


def test_what_a_pasted_text_ends_is_shown_before_it_is_noted(client: Client, rosa: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    client.force_login(rosa)
    fields = signal_fields(recording, text=f"report:\r\n{NO}")
    page = client.post(reverse("rights:signal_new"), fields)
    assert "What this ends" in page.text
    assert not Signal.objects.exists()
    form = page.context["form"]
    assert form["text"].value() == f"report:\r\n{NO}"
    assert form["content"].value() == ""
    seal = page.context["shown"].seal
    client.post(reverse("rights:signal_new"), fields | {"shown": seal, "content": ""})
    assert Signal.objects.get().recording == recording


def test_a_long_file_is_still_there_when_what_it_ends_was_shown(client: Client, rosa: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    client.force_login(rosa)
    content = f"{' ' * 100_000}\n{NO}".encode()
    fields = signal_fields(recording)
    page = client.post(
        reverse("rights:signal_new"), fields | {"file": SimpleUploadedFile("a.json", content)}
    )
    form, seal = page.context["form"], page.context["shown"].seal
    assert (form["source"].value(), form["isrc"].value()) == ("song.wav", recording.isrc)
    sent = fields | {"shown": seal, "content": form["content"].value()}
    client.post(reverse("rights:signal_new"), sent)
    assert Signal.objects.get().recording == recording


def test_a_pasted_text_counts_before_a_file_that_was_sent_before(
    client: Client, rosa: User
) -> None:
    recording = one_recording(rosa)
    client.force_login(rosa)
    before = base64.b64encode(b"HTTP/1.1 200 OK").decode()
    client.post(reverse("rights:signal_new"), signal_fields(recording, text=NO, content=before))
    assert Signal.objects.get().key == "cawg.ai_training"


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"text": "User-agent: *\nDisallow: /"}, "text", "This is a robots.txt or ai.txt"),
        ({"text": '{"a": '}, "text", "The JSON in it cannot be read"),
        ({"text": "x" * 300_000}, "text", "at most 262144 characters"),
        ({"text": "a\0b"}, "text", "Null characters are not allowed"),
        ({"text": NO, "scheme": "tdmrep"}, "scheme", "What is in it is CAWG or C2PA"),
        ({}, "file", "Choose the file that says it, or paste what it says."),
        ({"content": "?"}, "file", "Choose the file once more."),
        ({"file": b"fLaC\0\0\0\x22"}, "file", "This is a FLAC file itself."),
        ({"file": NO.encode(), "text": NO}, "text", "Choose a file or paste its text, not both."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_beside_its_field(
    client: Client, rosa: User, fields: dict[str, object], field: str, words: str
) -> None:
    recording = one_recording(rosa)
    client.force_login(rosa)
    if isinstance(content := fields.get("file"), bytes):
        fields = fields | {"file": SimpleUploadedFile("a.json", content)}
    page = client.post(reverse("rights:signal_new"), signal_fields(recording, **fields))
    assert page.status_code == 422
    assert list(page.context["form"].errors) == [field]
    assert words in page.context["form"].errors[field][0]
    assert not Signal.objects.exists()


@pytest.mark.parametrize(("name", "back"), [("import_new", "imports"), ("signal_new", "signals")])
def test_a_form_leads_back_where_it_was_come_from(
    client: Client, rosa: User, name: str, back: str
) -> None:
    client.force_login(rosa)
    page = client.get(reverse(f"rights:{name}")).text
    assert f'href="{reverse(f"rights:{back}")}">Cancel' in page
