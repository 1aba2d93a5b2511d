"""Withheld clips are a line with the reason, and clips of one name are told apart."""

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples import clips, samples
from audio_samples.models import Sample
from audio_samples.views import samples as views
from experiments.models import Project, Run
from portal.models import User
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed

NOTHING = "Nothing to hear yet"


@pytest.fixture
def run(ada: User, rosa: User, project: Project) -> Run:
    return make_run(ada, project, make_allowed(rosa, 1))


def home_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return " ".join(client.get(reverse("audio_samples:home_fragment")).content.decode().split())


def withhold(sample: Sample, by: User, reason: str) -> None:
    samples.withhold(sample, by=by, reason=reason)


def test_home_says_what_is_withheld_by_reason_with_links(run: Run, ada: User) -> None:
    made = [make_sample(run, f"final/{number}", seed=number) for number in range(5)]
    for sample in made:
        withhold(sample, ada, "Noor withdrew it" if sample.seed else "It clips")
    text = home_of(ada)
    assert NOTHING not in text
    assert "5 clips cannot be heard:" in text
    assert text.index("4 clips. Withheld: Noor withdrew it.") < text.index(
        "1 clip. Withheld: It clips."
    )
    assert f'<a href="{made[0].get_absolute_url()}">slow techno, after training, seed 0</a>' in text
    assert "and 1 more" in text


def test_home_says_it_as_the_samples_own_page_does(run: Run, ada: User) -> None:
    sample = make_sample(run)
    withhold(sample, ada, "<b>Noor</b> withdrew it")
    client = Client()
    client.force_login(ada)
    for text in (home_of(ada), client.get(sample.get_absolute_url()).content.decode()):
        assert "Withheld: &lt;b&gt;Noor&lt;/b&gt; withdrew it." in text


def test_home_counts_only_what_would_stand_among_the_newest(run: Run, ada: User) -> None:
    old = make_sample(run, "old")
    withhold(old, ada, "Long ago")
    for number in range(views.ON_HOME - 1):
        make_sample(run, str(number))
    assert "1 more clip cannot be heard:" in home_of(ada)
    make_sample(run, "one more")
    assert "cannot be heard" not in home_of(ada)


def test_home_says_nothing_of_drafts_and_of_other_projects(run: Run, ada: User, ben: User) -> None:
    withhold(make_sample(run, "a", final=False), ada, "A draft")
    assert NOTHING in home_of(ada)
    withhold(make_sample(run, "b"), ada, "Noor withdrew it")
    assert NOTHING in home_of(ben)


def test_a_withheld_clip_is_a_line_without_an_address(run: Run, ada: User) -> None:
    sample = make_sample(run)
    withhold(sample, ada, "Noor withdrew it")
    client = Client()
    client.force_login(ada)
    project = run.project.slug
    for page in (
        reverse("audio_samples:project", args=[project]),
        reverse("audio_samples:run_samples", args=[project, run.number]),
        reverse("audio_samples:grid") + f"?runs={run.pk}",
    ):
        text = client.get(page).content.decode()
        assert '<span class="silent">Withheld: Noor withdrew it.</span>' in text
        assert reverse("audio_samples:audio", args=[sample.pk]) not in text


def rows_of(user: User, run: Run) -> list[str]:
    """The run's samples and its column of the grid, as somebody gets them."""
    client = Client()
    client.force_login(user)
    pages = (
        reverse("audio_samples:run_samples", args=[run.project.slug, run.number]),
        reverse("audio_samples:grid") + f"?runs={run.pk}",
    )
    return [client.get(page).content.decode() for page in pages]


def test_rows_that_are_all_withheld_for_one_reason_are_one_line(run: Run, ada: User) -> None:
    made = [make_sample(run, name, prompt=f"prompt {name}") for name in "abc"]
    for sample in made:
        withhold(sample, ada, "Noor withdrew it")
    for text in rows_of(ada, run):
        assert text.count("Withheld: Noor withdrew it.") == 1
        assert '<p class="silent">All 3 clips. Withheld: Noor withdrew it.</p>' in text
        assert "<clip-player" not in text
        # What they were, and their credits, stay at hand.
        for sample in made:
            assert f'href="{sample.get_absolute_url()}"' in text
            assert sample.prompt in text


def test_rows_with_two_reasons_or_one_that_sounds_say_each_its_own(run: Run, ada: User) -> None:
    first, second = (make_sample(run, name, prompt=f"prompt {name}") for name in "ab")
    withhold(first, ada, "Noor withdrew it")
    for text in rows_of(ada, run):
        assert text.count("<clip-player") == 2
    withhold(second, ada, "A master was lost")
    for text in rows_of(ada, run):
        assert text.count("<clip-player") == 2
        assert '<span class="silent">Withheld: Noor withdrew it.</span>' in text
        assert '<span class="silent">Withheld: A master was lost.</span>' in text


def test_of_two_clips_the_line_says_both(run: Run, ada: User) -> None:
    for name in "ab":
        withhold(make_sample(run, name, prompt=f"prompt {name}"), ada, "A draft")
    for text in rows_of(ada, run):
        assert "Both clips. Withheld: A draft." in text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"final": False, "step": 1200}, "step 1,200"),
        ({"final": True, "step": 1200}, "after training"),
        ({"final": True, "seed": 0}, "after training, seed 0"),
        ({"final": False, "step": 20, "seed": 7, "take": 1}, "step 20, seed 7, take 2"),
    ],
)
def test_a_variant_is_when_it_was_made_its_seed_and_its_take(
    run: Run, said: dict[str, object], words: str
) -> None:
    assert make_sample(run, **said).variant == words


def test_clips_of_one_row_with_one_label_say_when_they_were_made(run: Run) -> None:
    make_sample(run, "a", seed=7, take=0)
    make_sample(run, "a", seed=7, take=1, final=False, step=20)
    make_sample(run, "a", seed=7, take=2, final=False, step=20)
    [row] = clips.grid([run])
    name = f"{run.number}: {run.name}, seed 7"
    assert sorted(clip.label for clip in row.clips) == [
        f"{name}, after training", f"{name}, step 20, no. 1", f"{name}, step 20, no. 2",
    ]  # fmt: skip
