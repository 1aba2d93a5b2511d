"""Files of reports: what is in them, what is not, and who gets them."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audio_samples import releases, samples
from experiments.models import Membership, Project, Report, ReportExport, Run
from experiments.reports import pages, reports
from experiments.reports.export import exports
from experiments.tasks import make_report_files
from listening import trials
from portal import audit, storage
from portal.models import Blob, User
from rights.models import Party
from tests.audio_samples.cast import make_sample
from tests.audio_samples.test_releases import World, world
from tests.experiments.charts.test_data import log
from tests.experiments.run_table.test_table import make

__all__ = ["world"]
pytestmark = pytest.mark.django_db
FETCHES = re.compile(
    r'(?:src|href)="(?!https?://|mailto:|#|data:audio)|url\((?!#)|@import|<link|<script'
)


def write(by: User, project: Project, text: str) -> Report:
    report = reports.create(by=by, project=project, title="What we “saw” <é 日本 ☃>", text=text)
    reports.publish(by=by, report=report)
    return Report.objects.select_related("project", "author").get(pk=report.pk)


def made(by: User, report: Report, kind: str) -> tuple[ReportExport, bytes]:
    row = exports.ask(by=by, report=report, format=kind)
    make_report_files()
    row.refresh_from_db()
    assert row.state == ReportExport.State.READY, row.reason
    assert row.file is not None
    with storage.open_blob(row.file.sha256) as file:
        return row, file.read()


TEXT = """# Heading & <b>

Text **bold *both*** ~~gone~~ `code <x>` [run](/projects/first-light/) ![pic](/static/x.png)
日本語 ελληνικά Привет ☃ 🦤 עברית

1. one
   - inner

     second paragraph
2. two

> quoted

| a | b |
|--:|---|
| 1 | <script>alert(1)</script> |

---

```python
def f(): return "a long line of code that goes on and on and on and on and on and on and on and on"
```

```chart
runs: 1
y: loss
```

```chart
kind: bars
y: metric.loss
```

```runs
query: name:try
columns: metric.loss
```

```chart
wrong
```
"""


def test_a_file_has_everything_in_it_and_fetches_nothing(
    ada: User, ben: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[3, 2, float("nan"), 1])
    inner = write(ada, project, "inner words")
    report = write(ada, project, f"{TEXT}\n\n```report\nreport: {inner.pk}\n```")
    row, html = made(ada, report, "html")
    page = html.decode()
    assert FETCHES.findall(page) == []
    assert page.count("<svg") == 2
    assert "inner words" in page
    assert "<script>alert" not in page
    assert 'href="http' in page
    assert f"Line {TEXT.splitlines().index('wrong') + 1}, chart:" in page
    assert audit.history(report).filter(verb="report.exported").get().body["clips"] == []
    _, pdf = made(ada, report, "pdf")
    assert pdf.startswith(b"%PDF-")
    assert b"/Subtype /Image" not in pdf
    # Only who asked for it gets it, as a file that no browser opens as a page.
    Membership.objects.create(project=project, user=ben)
    address = reverse("report_export_file", args=[report.pk, row.pk])
    client, other = Client(), Client()
    client.force_login(ada)
    other.force_login(ben)
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert other.get(address).status_code == 404
    state = reverse("report_export_state", args=[report.pk, row.pk])
    assert address in client.get(state).content.decode()
    assert other.get(state).status_code == 404
    asked = client.post(reverse("report_export", args=[report.pk]), {"format": "pdf"})
    assert "/exports/" in asked.headers["Location"]
    assert client.post(reverse("report_export", args=[report.pk]), {"format": "exe"}).status_code
    # After an hour it is gone, bytes and all.
    ReportExport.objects.update(at=timezone.now() - timedelta(hours=2), state="ready")
    digest = row.file_id
    make_report_files()
    assert not ReportExport.objects.exists()
    assert not Blob.objects.filter(pk=digest).exists()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000,
        "word " * 19_000,
        "> " * 3_000 + "x",
        "- " * 2_000 + "x",
        "|a|b|\n|-|-|\n|" + "x" * 60_000 + "|y|",
        "|a" * 120 + "|\n" + "|-" * 120 + "|\n" + "|b" * 120 + "|",
        "```\n" + "y" * 40_000 + "\n```",
        "**a [b** c](x) *d **e* f** ~~g*~~",
        "![](/x.png)\n\n[]()\n\n&amp;nbsp; &#0; <a href='x'>",
        "1000000000. x\n\n# \n\n##### y\n\n***",
    ],
)
def test_whatever_the_text_is_a_file_comes_of_it_or_a_sentence(
    ada: User, project: Project, text: str
) -> None:
    report = write(ada, project, text)
    for kind in ("html", "pdf"):
        row = exports.ask(by=ada, report=report, format=kind)
        make_report_files()
        row.refresh_from_db()
        assert row.state == "ready" or "fits on no page" in row.reason


def test_orders_are_few_and_each_is_made_once(ada: User, project: Project) -> None:
    report = write(ada, project, "x")
    for _ in range(exports.MOST_WAITING):
        exports.ask(by=ada, report=report, format="html")
    with pytest.raises(reports.NotPossible):
        exports.ask(by=ada, report=report, format="html")
    assert exports.run_pass() == exports.MOST_WAITING
    assert exports.run_pass() == 0
    # What a killed worker began is made by the next, later.
    row = exports.ask(by=ada, report=report, format="html")
    ReportExport.objects.filter(pk=row.pk).update(begun_at=timezone.now())
    assert exports.run_pass() == 0
    ReportExport.objects.filter(pk=row.pk).update(begun_at=timezone.now() - exports.LOST * 2)
    assert exports.run_pass() == 1
    # Who may not see the report any more gets no file.
    row = exports.ask(by=ada, report=report, format="html")
    Membership.objects.filter(user=ada).delete()
    exports.run_pass()
    row.refresh_from_db()
    assert (row.state, "not yours" in row.reason) == ("failed", True)


def html_of(user: User, report: Report) -> str:
    return str(pages.html(report.text, pages.reading_of(user, report)))


def test_players_obey_and_a_file_has_the_sound_of_released_clips_alone(world: World) -> None:
    """A clip that is withheld says why everywhere, and a file that was made before is not given out
    any more."""
    silent = make_sample(world.run, "quiet", step=100, prompt="another prompt")
    run: Run = world.run
    block = f"```samples\nruns: {run.number}\nstep: final\n```"
    report = write(world.owner, world.project, f"{block}\n\n{block.replace('final', 'last')}")
    html = html_of(world.owner, report)
    # Two blocks of the same clips are two players, each with its name.
    names = re.findall(r'data-name="(\w+)"', html)
    assert len(names) == len(set(names)) == 4
    assert html.count("Nell Harrow") == 4
    _, before = made(world.owner, report, "html")
    assert b"<audio" not in before
    assert b"Nell Harrow" in before
    world.release()
    row, page = made(world.owner, report, "html")
    assert page.count(b"<audio") == 2
    assert page.count(b"data:audio/") == 2
    assert b"data-release" not in page
    assert FETCHES.findall(page.decode()) == []
    line = audit.history(report).filter(verb="report.exported").order_by("-seq").first()
    assert line is not None
    assert line.body["clips"] == row.clips == [world.sample.releases.get().pk]
    assert exports.why_gone(row) == ""
    samples.withhold(silent, by=world.admin, reason="Too close to a song")
    html = html_of(world.owner, report)
    assert "Too close to a song" in html
    assert reverse("audio_samples:audio", args=[silent.pk]) not in html
    releases.recall(by=world.owner, release=world.sample.releases.get(), reason="Not yet.")
    assert exports.why_gone(row)
    client = Client()
    client.force_login(world.owner)
    gone = client.get(reverse("report_export_file", args=[report.pk, row.pk]))
    assert gone.status_code == 410
    # A name that its party keeps from the public is in no file.
    Party.objects.filter(name="Nell Harrow").update(public_credit=Party.PublicCredit.UNNAMED)
    _, page = made(world.owner, report, "html")
    assert b"Nell Harrow" not in page
    assert b"<audio" not in page
    assert b"Too close to a song" in page


def test_what_listeners_said_stands_in_a_report_live_or_frozen(
    ada: User, lou: User, project: Project
) -> None:
    run = make(project, ada, 1, origin=Run.Origin.CLIENT)
    clips = [make_sample(run, name) for name in ("a", "b")]
    test = trials.open_test(
        by=ada, project=project, title="Which one", question="How?", samples=clips,
        audience="internal",
    )  # fmt: skip
    block = f"```listening\ntest: {test.pk}\nby: sample\n```"
    report = write(ada, project, f"{block}\n\n```listening\ntest: 99999\n```")
    html = html_of(ada, report)
    assert "Which one" in html
    assert "Nobody has answered yet" in html
    assert "Say which test" in html
    frozen = f"```listening\ntest: {test.pk}\nfrozen: yes\n```"
    report = reports.save(by=ada, report=report, title="x", text=frozen)
    assert "Frozen " in html_of(ada, report)
    sound = f"```samples\nruns: {run.number}\nfrozen: yes\n```"
    report = reports.save(by=ada, report=report, title="x", text=sound)
    assert "cannot be frozen" in html_of(ada, report)
