"""Opening, answering, resuming and closing listening tests, and what listeners never learn."""

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples import samples
from audio_samples.models import Sample
from experiments.models import Membership, Project, Run
from listening import trials
from listening.models import Item, ListeningTest, Rating
from portal import audit
from portal.models import User
from rights.grants import lifecycle
from rights.models import Recording, Use
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed
from tests.confirming import confirm


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 1)


@pytest.fixture
def run(ada: User, project: Project, recordings: list[Recording]) -> Run:
    return make_run(ada, project, recordings)


@pytest.fixture
def test(ada: User, run: Run) -> ListeningTest:
    for number in range(6):
        make_sample(run, f"final/secret/{number}", prompt="secret techno", seed=number)
    return trials.open_test(
        by=ada,
        project=run.project,
        title="Evening round",
        question="Does it groove?",
        samples=Sample.objects.all(),
    )


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url_of(code: object) -> str:
    return reverse("listening:answer", args=[code])


def listen(client: Client, item: Item) -> None:
    """Fetch the clip, as a browser without scripts does when its player is started."""
    assert client.get(reverse("listening:audio", args=[item.code])).status_code == 200


def test_opening_needs_audible_samples_of_the_project(ada: User, run: Run) -> None:
    def opened(samples: object) -> ListeningTest:
        return trials.open_test(
            by=ada,
            project=run.project,
            title="t",
            question="q",
            samples=samples,  # type: ignore[arg-type]
        )

    with pytest.raises(trials.BadTest, match="at least one"):
        opened([])
    sample = make_sample(run)
    test = opened([sample, sample])
    assert test.items.count() == 1
    assert audit.history(test).first().verb == "listening.opened"
    Sample.objects.update(withheld_at=sample.created_at)
    with pytest.raises(trials.BadTest, match="withheld"):
        opened([sample])


def test_each_listener_has_an_order_of_their_own_that_stays(
    test: ListeningTest, lou: User, ada: User
) -> None:
    first = [place.item.pk for place in trials.clip_order(test, lou)]
    assert first == [place.item.pk for place in trials.clip_order(test, lou)]
    assert sorted(first) == sorted(place.item.pk for place in trials.clip_order(test, ada))
    assert first != sorted(first) or first != [p.item.pk for p in trials.clip_order(test, ada)]


def test_an_answer_is_stored_when_given_and_can_be_changed(test: ListeningTest, lou: User) -> None:
    client, item = as_user(lou), trials.clip_order(test, lou)[0].item
    listen(client, item)
    json = {"Accept": "application/json"}
    assert client.post(url_of(item.code), {"score": "4"}, headers=json).json() == {"score": 4}
    assert client.post(url_of(item.code), {"score": "4"}, headers=json).json() == {"score": 4}
    assert Rating.objects.get().changes == 0
    client.post(url_of(item.code), {"score": "2"}, headers=json)
    assert (Rating.objects.get().score, Rating.objects.get().changes) == (2, 1)


def test_without_scripts_the_form_goes_on_to_the_next_clip(test: ListeningTest, lou: User) -> None:
    client, page = as_user(lou), reverse("listening:rate", args=[test.pk])
    for number in range(1, 7):
        place = client.get(page).context["place"]
        assert place.number == number
        listen(client, place.item)
        assert client.post(url_of(place.item.code), {"score": "3"}).url == page
    assert "You have rated every clip" in client.get(page).content.decode()
    assert client.get(page + "?clip=2").context["place"].number == 2


@pytest.mark.parametrize("score", ["", "0", "6", "12", "1.5", "x", "²", "9" * 5000])
def test_a_score_out_of_scale_is_refused_with_a_sentence(
    test: ListeningTest, lou: User, score: str
) -> None:
    item = trials.clip_order(test, lou)[0].item
    headers = {"Accept": "application/json"}
    answer = as_user(lou).post(url_of(item.code), {"score": score}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith("1 to 5.")
    assert not Rating.objects.exists()


def test_nothing_that_a_listener_gets_unblinds(test: ListeningTest, lou: User, run: Run) -> None:
    client = as_user(lou)
    page = client.get(reverse("listening:rate", args=[test.pk])).content.decode()
    place = trials.clip_order(test, lou)[0]
    sample = place.item.sample
    audio = client.get(reverse("listening:audio", args=[place.item.code]))
    seen = page + str(audio.headers)
    for secret in (
        "secret",
        run.name,
        str(run.pk),
        sample.audio_id,
        run.project.slug,
        "data-peaks",
    ):
        assert secret not in seen, secret
    assert 'filename="clip"' in audio["Content-Disposition"]


def test_who_may_answer_and_who_may_see_results(
    test: ListeningTest, project: Project, request: pytest.FixtureRequest
) -> None:
    code = test.items.first().code
    listener_pages = [
        reverse("listening:rate", args=[test.pk]),
        reverse("listening:audio", args=[code]),
    ]
    project_pages = [
        reverse("listening:tests", args=[project.slug]),
        reverse("listening:new", args=[project.slug]),
        reverse("listening:results", args=[project.slug, test.pk]),
    ]
    may = {"ada": (200, 200), "ben": (200, 404), "lou": (200, 404), "rosa": (404, 404),
           "noor": (404, 404)}  # fmt: skip
    for name, (listens, manages) in may.items():
        client = as_user(request.getfixturevalue(name))
        for page in listener_pages:
            assert client.get(page).status_code == listens, (name, page)
        for page in project_pages:
            assert client.get(page).status_code == manages, (name, page)
        answered = client.post(url_of(code), {"score": "1"}).status_code
        assert answered == (302 if listens == 200 else 404)
        assert client.get(reverse("listening:open")).status_code == 200
        assert client.get(reverse("listening:home_fragment")).status_code == 200


def test_viewers_see_results_but_open_and_close_nothing(
    test: ListeningTest, ben: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    client = as_user(ben)
    assert client.get(reverse("listening:results", args=[project.slug, test.pk])).status_code == 200
    assert client.get(reverse("listening:new", args=[project.slug])).status_code == 403
    close = reverse("listening:close", args=[project.slug, test.pk])
    assert client.post(close).status_code == 403


def test_a_closed_test_takes_no_answers_and_says_so(
    test: ListeningTest, ada: User, lou: User, project: Project
) -> None:
    item = trials.clip_order(test, lou)[0].item
    listen(as_user(lou), item)
    trials.answer(item=item, listener=lou, score=5)
    close = reverse("listening:close", args=[project.slug, test.pk])
    assert as_user(ada).post(close).status_code == 409
    confirm(as_user(ada), close)
    assert not trials.close_test(test, by=ada)
    assert audit.history(test).first().verb == "listening.closed"
    with pytest.raises(trials.Closed):
        trials.answer(item=item, listener=lou, score=1)
    client = as_user(lou)
    page = client.get(reverse("listening:rate", args=[test.pk]))
    assert page.status_code == 410
    assert "closed" in page.content.decode()
    assert client.get(reverse("listening:audio", args=[item.code])).status_code == 404
    # Whoever had the clip before them when it closed is told why the answer does not count.
    answer = reverse("listening:answer", args=[item.code])
    told = client.post(answer, {"score": "2"}, headers={"Accept": "application/json"})
    assert told.status_code == 409
    assert "closed" in told.json()["error"]
    assert "test is closed" in client.post(answer, {"score": "2"}, follow=True).content.decode()


def test_withheld_clips_leave_an_open_test_with_a_word(
    test: ListeningTest, lou: User, ada: User, rosa: User, recordings: list[Recording]
) -> None:
    item = trials.clip_order(test, lou)[0].item
    listen(as_user(lou), item)
    trials.answer(item=item, listener=lou, score=5)
    lifecycle.opt_out(
        recording=recordings[0],
        use=Use.TRAIN_GENERATIVE,
        party=recordings[0].splits.get().lines.get().party,
        by=rosa,
        reason="changed my mind",
    )
    client = as_user(lou)
    assert client.get(reverse("listening:audio", args=[item.code])).status_code == 410
    page = client.get(reverse("listening:rate", args=[test.pk])).content.decode()
    assert "6 clips were withdrawn meanwhile" in page
    assert str(item.code) not in page
    with pytest.raises(trials.Withdrawn):
        trials.answer(item=item, listener=lou, score=1)
    results = as_user(ada).get(reverse("listening:results", args=[test.project.slug, test.pk]))
    assert results.content.decode().count("Withheld meanwhile") == 6
    assert results.context["results"].answers == 1


def test_a_test_is_set_up_in_the_browser(run: Run, ada: User) -> None:
    sample = make_sample(run, prompt="<b>hostile</b>")
    client, url = as_user(ada), reverse("listening:new", args=[run.project.slug])
    page = client.get(url, {"sample": sample.pk}).content.decode()
    assert "checked" in page
    assert "<b>hostile" not in page
    data = {"title": "<i>T</i>", "question": "Q?", "low_label": "no", "high_label": "yes"}
    refused = client.post(url, data)
    assert refused.status_code == 422
    assert "Choose at least one sample" in refused.content.decode()
    opened = client.post(url, {**data, "samples": [sample.pk]}, follow=True).content.decode()
    assert "&lt;i&gt;T&lt;/i&gt;" in opened


def test_the_picker_plays_each_clip_and_fetches_none_before(run: Run, ada: User) -> None:
    sample = make_sample(run, "final/a", prompt="slow techno", step=40, seed=3, take=1)
    gone = make_sample(run, "final/b", prompt="gone")
    Sample.objects.filter(pk=gone.pk).update(withheld_at=gone.created_at)
    page = as_user(ada).get(reverse("listening:new", args=[run.project.slug]))
    text = page.content.decode()
    assert text.count('data-compact data-preload="none"') == 1
    assert f'data-src="{reverse("audio_samples:audio", args=[sample.pk])}"' in text
    assert "after training, seed 3, take 2, final/a" in " ".join(text.split())
    assert [row.clips[0].sample for row in page.context["rows"]] == [sample]


@pytest.mark.parametrize(
    ("query", "names", "words"),
    [
        ({}, {"a", "b", "c"}, []),
        ({"run": "1"}, {"a", "b", "c"}, ["Run 1"]),
        ({"run": "2"}, set(), ["Run 2"]),
        ({"prompt": "WALTZ"}, {"b"}, ["Prompt contains “WALTZ”"]),
        ({"final": "yes"}, {"a", "b"}, ["Made after training"]),
        ({"final": "no", "prompt": "techno"}, {"c"},
         ["Prompt contains “techno”", "Made in training"]),
        ({"run": "x", "prompt": "", "final": ""}, {"a", "b", "c"}, []),
    ],
)  # fmt: skip
def test_the_picker_takes_the_filters_of_the_samples_page(
    run: Run, ada: User, query: dict[str, str], names: set[str], words: list[str]
) -> None:
    make_sample(run, "a", prompt="techno")
    make_sample(run, "b", prompt="waltz")
    make_sample(run, "c", prompt="techno", final=False)
    page = as_user(ada).get(reverse("listening:new", args=[run.project.slug]), query)
    assert {row.clips[0].sample.name for row in page.context["rows"]} == names
    assert page.context["filters"] == words


def test_what_is_chosen_stays_on_the_page_whatever_the_filters_are(
    run: Run, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listening.views.CHOICES_SHOWN", 1)
    chosen = make_sample(run, "a", prompt="techno")
    make_sample(run, "b", prompt="waltz")
    client, url = as_user(ada), reverse("listening:new", args=[run.project.slug])
    page = client.get(url, {"sample": chosen.pk, "prompt": "waltz"})
    assert [row.clips[0].sample for row in page.context["rows"]] == [chosen]
    assert "The newest 1 of 2 are shown." in " ".join(client.get(url).content.decode().split())
    again = client.post(f"{url}?prompt=waltz", {"samples": [chosen.pk], "title": ""})
    assert f'value="{chosen.pk}" checked' in again.content.decode()


def test_results_tell_what_was_made_in_training_from_what_came_after(run: Run, ada: User) -> None:
    made = [
        make_sample(run, "a", step=20, final=False),
        make_sample(run, "a", step=20),
        make_sample(run, "a", step=20, take=1),
    ]
    test = trials.open_test(by=ada, project=run.project, title="T", question="Q", samples=made)
    url = reverse("listening:results", args=[run.project.slug, test.pk])
    text = " ".join(as_user(ada).get(url).content.decode().split())
    for words in ("> step 20, a,", "> after training, a,", "> after training, take 2, a,"):
        assert words in text


def test_mean_and_interval_are_students() -> None:
    """1, 2, 3, 4, 5: t(0.975, 4) = 2.7764451, s = 1.5811388, so 3 plus or minus 1.96324."""
    found = trials.estimate([1, 2, 3, 4, 5])
    assert (found.n, found.mean) == (5, 3)
    assert found.low == pytest.approx(3 - 1.963243, abs=1e-5)
    assert found.high == pytest.approx(3 + 1.963243, abs=1e-5)
    assert trials.estimate([]) == trials.Estimate(0, None, None, None)
    assert trials.estimate([4]) == trials.Estimate(1, 4, None, None)
    assert trials.estimate([1, 5]).low == 1


def test_the_form_says_whether_there_are_no_samples_or_all_are_withheld(
    ada: User, run: Run, recordings: list[Recording], rosa: User, project: Project
) -> None:
    def page() -> str:
        address = reverse("listening:new", args=[project.slug])
        return as_user(ada).get(address).content.decode()

    none, withheld = "There is no sample in this project yet.", "Every sample of this project is"
    assert (none in page(), withheld in page()) == (True, False)
    sample = make_sample(run)
    assert (none in page(), withheld in page()) == (False, False)
    samples.withhold(sample, by=ada, reason="Noor withdrew it")
    assert (none in page(), withheld in page()) == (False, True)
