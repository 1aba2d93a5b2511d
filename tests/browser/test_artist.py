"""The artist's pages in a real browser: nothing serious for axe, nothing too wide, and a flag."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from audio_samples.models import Sample
from experiments.models import Project
from portal.models import User
from rights.models import Grant, Party, Use
from tests.audio_samples.cast import make_run, make_sample
from tests.browser.test_axe import log_in, serious
from tests.catalogue import make_allowed, make_party

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def sample(ada: User, rosa: User, noor: User, project: Project) -> Sample:
    party = make_party(rosa, "Noor", people=[noor])
    songs = make_allowed(rosa, 2, party=party)
    return make_sample(make_run(ada, project, songs))


def addresses(sample: Sample) -> list[str]:
    party, grant = Party.objects.get(), Grant.objects.all()[0]
    song = sample.run.dataset.items.all()[0].recording_id
    return [
        reverse("rights:mine"),
        reverse("rights:mine_recording", args=[song]),
        reverse("rights:mine_on", args=[song, Use.DISTRIBUTE.value]),
        reverse("rights:mine_off", args=[song, Use.TRAIN_GENERATIVE.value]),
        reverse("rights:mine_uses"),
        reverse("rights:mine_agreements"),
        reverse("rights:mine_grant", args=[grant.pk]),
        reverse("rights:mine_statements"),
        reverse("rights:mine_statement", args=[party.pk]),
        reverse("audio_samples:mine"),
        reverse("audio_samples:mine_model", args=[sample.run_id]),
        reverse("audio_samples:mine_sample", args=[sample.pk]),
    ]


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1440)])
def test_artist_pages(
    page: Page, live_server: LiveServer, sample: Sample, theme: str, width: int
) -> None:
    log_in(page, live_server, Party.objects.get().people.get())
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 900})
    findings = {}
    for path in addresses(sample):
        page.goto(live_server.url + path)
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        findings[path] = serious(page) + ([f"{wide} px wider than the window"] if wide > 0 else [])
    assert {path: found for path, found in findings.items() if found} == {}


def test_a_sample_is_heard_and_flagged(
    page: Page, live_server: LiveServer, noor: User, sample: Sample
) -> None:
    log_in(page, live_server, noor)
    page.goto(live_server.url + reverse("audio_samples:mine_sample", args=[sample.pk]))
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("link", name="Flag it").click()
    page.get_by_label("What is wrong with it").fill("It is my melody.")
    page.get_by_role("button", name="Flag sample").click()
    expect(page.get_by_text("Withheld: a rightsholder objected to it").first).to_be_visible()
    assert not Sample.objects.audible().exists()
