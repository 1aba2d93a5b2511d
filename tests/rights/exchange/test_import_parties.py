"""A check says which parties would be added, and a person which of them are here already."""

import pytest
from django.test import Client

from portal.models import User
from rights.errors import Refused
from rights.exchange.importing import jobs
from rights.models import ImportJob, Party, Recording
from tests.catalogue import make_party
from tests.rights.exchange.importing import checked, imported, song, table, told, work_off

pytestmark = pytest.mark.django_db

CHOOSE = "; choose “Update titles” to change it."


def one_song(artist: str, number: int = 1) -> dict[str, str]:
    return song(number, Artist=artist, Composers=artist, **{
        "Master split": f"{artist} 100", "Composition split": f"{artist} 100",
    })  # fmt: skip


def new(job: ImportJob) -> list[tuple[str, int, list[str]]]:
    rows = job.new_parties.order_by("row", "pk")
    return [(row.name, row.row, [each["name"] for each in row.similar]) for row in rows]


def test_each_new_party_is_listed_with_the_names_like_it(rosa: User) -> None:
    jane = make_party(rosa, "Dash Jane")
    make_party(rosa, "Somebody Else")
    job = checked(
        rosa, table([one_song("Dashjane"), one_song("Max Roe", 2), one_song("Max Row", 3)])
    )
    assert new(job) == [
        ("Dashjane", 1, ["Dash Jane"]), ("Max Roe", 2, []), ("Max Row", 3, ["Max Roe"]),
    ]  # fmt: skip
    first = job.new_parties.get(name="Dashjane")
    assert first.similar == [{"name": "Dash Jane", "party": jane.pk}]
    assert job.new_parties.get(name="Max Row").similar == [{"name": "Max Roe", "row": 2}]
    assert not Party.objects.filter(name="Dashjane").exists()


def test_parties_of_refused_rows_and_of_the_catalogue_are_not_listed(rosa: User) -> None:
    make_party(rosa, "Max Roe")
    job = checked(rosa, table([one_song("Max Roe"), one_song("Nobody", 2) | {"ISRC": "x"}]))
    assert new(job) == []


def test_a_credited_name_is_a_like_name_too(rosa: User) -> None:
    Party.objects.create(name="Jane Doe", credited_as="Lady Lark")
    assert new(checked(rosa, table([one_song("Lady  Larc")]))) == [("Lady Larc", 1, ["Lady Lark"])]


def test_a_name_that_is_a_partys_enters_as_that_party(rosa: User) -> None:
    jane = make_party(rosa, "Dash Jane")
    job = checked(rosa, table([one_song("Dashjane")]))
    jobs.identify(job, by=rosa, same={"Dashjane": jane})
    work_off()
    job.refresh_from_db()
    assert new(job) == []
    jobs.start(job, by=rosa)
    work_off()
    recording = Recording.objects.get()
    assert recording.credits.get().party == jane
    assert recording.splits.get().lines.get().party == jane
    assert not Party.objects.filter(name="Dashjane").exists()
    # The name was said for this file alone.
    assert told(imported(rosa, table([one_song("Dashjane", 2)]), "other.csv")) == []
    assert Party.objects.filter(name="Dashjane").exists()


def test_the_next_file_of_the_source_starts_from_what_was_said(rosa: User) -> None:
    jane = make_party(rosa, "Dash Jane")
    job = checked(rosa, table([one_song("Dashjane")]))
    jobs.identify(job, by=rosa, same={"Dashjane": jane})
    work_off()
    job.refresh_from_db()
    jobs.start(job, by=rosa)
    work_off()
    again = checked(rosa, table([one_song("Dashjane")]))
    assert (again.added, again.changed, again.unchanged, again.refused) == (0, 0, 1, 0)
    assert jobs.same_parties(again) == {"dashjane": jane.pk}


def test_it_can_be_taken_back_and_not_after_rows_are_entered(rosa: User) -> None:
    jane = make_party(rosa, "Dash Jane")
    job = checked(rosa, table([one_song("Dashjane")]))
    for party in (jane, None):
        jobs.identify(job, by=rosa, same={"DASHJANE": party})
        work_off()
        job.refresh_from_db()
    assert [name for name, *_ in new(job)] == ["Dashjane"]
    jobs.start(job, by=rosa)
    work_off()
    job.refresh_from_db()
    with pytest.raises(Refused, match="is not checked again"):
        jobs.identify(job, by=rosa, same={"Dashjane": jane})


def test_the_page(client: Client, rosa: User, ada: User) -> None:
    jane = make_party(rosa, "Dash Jane")
    job = checked(rosa, table([one_song("Dashjane"), one_song("Max Roe", 2)]))
    client.force_login(rosa)
    assert "nearly those of others" in client.get(job.get_absolute_url()).content.decode()
    page = f"/rights/imports/{job.pk}/parties/"
    text = client.get(page).content.decode()
    assert text.index("Dashjane") < text.index("Max Roe")
    field = f"party_{job.new_parties.get(name='Dashjane').pk}"
    wrong = client.post(page, {field: "Nobody at all"})
    assert wrong.status_code == 422
    assert "There is no party “Nobody at all”" in wrong.content.decode()
    assert client.post(page, {field: f"Dash Jane #{jane.pk}"}).status_code == 302
    work_off()
    assert "“dashjane” is" in client.get(page).content.decode()
    assert client.post(page, {"undo_dashjane": "on"}).status_code == 302
    work_off()
    assert job.new_parties.filter(name="Dashjane").exists()
    client.force_login(ada)
    assert client.get(page).status_code in (403, 404)


def test_an_answer_to_an_older_check_is_not_lost_in_silence(client: Client, rosa: User) -> None:
    jane = make_party(rosa, "Dash Jane")
    job = checked(rosa, table([one_song("Dashjane")]))
    client.force_login(rosa)
    answer = {f"party_{job.new_parties.get().pk}": f"Dash Jane #{jane.pk}"}
    jobs.check(job, by=rosa, columns=job.columns)
    work_off()
    page = client.post(f"/rights/imports/{job.pk}/parties/", answer)
    assert page.status_code == 422
    assert "checked again meanwhile" in page.content.decode()
    assert client.post(f"/rights/imports/{job.pk}/parties/", {}).status_code == 200


def test_here_is_the_catalogue_and_not_another_row(rosa: User) -> None:
    rows = [one_song("Max Roe"), one_song("Max Roe") | {"Title": "Another", "Genre": "dub"}]
    job = checked(rosa, table(rows))
    sentences = [sentence for _, _, sentence in told(job)]
    assert (
        "It is “Song 1” in row 1 and “Another” in this one; choose “Update titles” to change it."
        in sentences
    )
    assert not any("here" in sentence.split() for sentence in sentences)
    imported(rosa, table(rows[:1]), "first.csv")
    sentences = [sentence for _, _, sentence in told(checked(rosa, table(rows[1:])))]
    assert (
        "It is “Song 1” here and “Another” in the file; choose “Update titles” to change it."
        in sentences
    )


def test_it_is_so_too_where_an_earlier_part_has_entered_the_row(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rights.exchange.importing.running.PART", 1)
    split = {"Master split": "Max Roe 60; Ann Poe 40"}
    rows = [one_song("Max Roe"), one_song("Max Roe") | {"Title": "Another"} | split]
    job = imported(rosa, table(rows))
    assert sorted(sentence for _, _, sentence in told(job)) == [
        f"It is “Song 1” in another row and “Another” in this one{CHOOSE}",
        "The split of “Song 1” is another in another row: the file says two different ones.",
    ]
