"""One of everything that has an address, and people of every kind who look at it."""

import hashlib
import io
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from audio import prints
from audio_samples.credentials import issuing
from audio_samples.models import ClipRelease
from audio_samples.models.copy_check import Screening
from audio_samples.reviews import flags
from backline import Image, Text, wire
from experiments.alerts import alerts, rules, webhooks
from experiments.charts import layouts
from experiments.deliveries import usage_report
from experiments.discussion import comments, subjects
from experiments.models import Membership, Notice, Project, Run, SweepTrial
from experiments.publishing import pages
from experiments.reports import reports, shelving
from experiments.reports.export import exports
from experiments.run_table import saved_views
from experiments.run_table.layout import Layout
from experiments.runs import bulk, checkpoints, datasets, describing, runs
from experiments.sweeps import sweeps
from experiments.sweeps.sweeps import Wanted
from listening import trials
from portal import storage, tokens
from portal.models import Role, User
from rights.catalogue import catalogue, derivations
from rights.catalogue.file_batches import batches
from rights.consent import consent
from rights.exchange.importing import jobs
from rights.grants import agreements, lifecycle
from rights.models import Purpose, RightType, SoundQuestion, Use, WithdrawalCase
from rights.parties import parties
from tests.audio_samples.cast import make_sample
from tests.catalogue import allow, make_recording, second_admin
from tests.conftest import person
from tests.experiments.media.logged import log as log_media
from tests.tones import tone

# Texts that only some may read. They are found in no address, so an echo of one is no leak.
MUSIC = ("Zanzibar Lullaby", "Yara Quill")
PAPER = ("Quill paper of signature", "Quill wants it to end")
WORK = ("Umbra project", "umbra run name", "umbra dataset name", "umbra prompt text")


@dataclass
class World:
    """The objects behind each converter, by the words of their address."""

    people: dict[str, User]
    filled: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        if user := self.people.get(role):
            client.force_login(user)
        return client

    def address(self, route: str) -> str:
        """The route with real numbers and names; the first words that fit say which."""
        known: dict[str, Any] = {}
        for words, values in self.filled:
            if re.match(words, route):
                known = values | known

        def value(found: re.Match[str]) -> str:
            return str(known[found[1]])

        try:
            path = re.sub(r"<(?:\w+:)?(\w+)>", value, route)
        except KeyError as missing:
            raise AssertionError(f"Say in World what {missing} is in {route}.") from missing
        return "/" + path


def routes() -> list[str]:
    """Every route of the site, as it is written."""

    def walk(resolver: Any, before: str) -> Any:
        for pattern in resolver.url_patterns:
            here = before + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern, here)
            elif isinstance(pattern, URLPattern):
                yield here

    return sorted(set(walk(get_resolver(), "")))


def make_world() -> World:
    people = {
        "listener": person("lou", "Lou Marchetti", Role.LISTENER),
        "member": person("ada", "Ada Okafor", Role.RESEARCHER),
        "outsider": person("ben", "Ben Sato", Role.RESEARCHER),
        "holder": person("noor", "Noor Haddad", Role.RIGHTSHOLDER),
        "stranger": person("sol", "Sol Varga", Role.RIGHTSHOLDER),
        "admin": person("rosa", "Rosa Lindqvist", Role.RIGHTS_ADMIN),
        "operator": person("olga", "Olga Petrov", Role.OPERATOR),
    }
    rosa, ada, noor = people["admin"], people["member"], people["holder"]
    parties.add_party(by=rosa, name="Stranger", people=[people["stranger"]])
    party = parties.add_party(
        by=rosa, name=MUSIC[1], people=[noor], identifiers={"isni": "000000012281955X"}
    )
    agent = parties.add_party(by=rosa, name="Agent of Quill")
    mandate = parties.enter_mandate(by=rosa, holder=party, agent=agent, right_types=["composition"])
    song = make_recording(rosa, party, title=MUSIC[0])
    stem = catalogue.add_stem(
        by=rosa, recording=song, part="vocals", file=tone(seconds=0.9, frequency=777),
        filename="v.flac",
    )  # fmt: skip
    remix, source = (
        catalogue.announce_recording(by=rosa, title=title) for title in ("A remix", "Its source")
    )
    relation = derivations.add_relation(by=rosa, recording=remix, source=source, kind="derived")
    question = SoundQuestion.objects.create(recording=remix, other=source, score=0.9, length=8.0)
    release = catalogue.add_release(by=rosa, title="Album of lullabies", tracks=[song])
    agreement = agreements.sign(
        by=rosa, counterparty=party, title=PAPER[0], signed_on=timezone.now().date(),
        document=io.BytesIO(b"%PDF-1.4 paper"),
    )  # fmt: skip
    first, _ = (
        lifecycle.activate(
            agreements.draft_grant(
                by=rosa, agreement=agreement, right_type=right, use=Use.TRAIN_GENERATIVE,
                purposes=[Purpose.RESEARCH],
            ),
            second_admin(),
        )
        for right in (RightType.MASTER, RightType.COMPOSITION)
    )  # fmt: skip
    offered = agreements.draft_grant(
        by=rosa, agreement=agreement, right_type="master", use=Use.CONDITION
    )
    allow(rosa, party, Use.EVAL)

    project = Project.objects.create(slug="umbra", name=WORK[0])
    Membership.objects.create(project=project, user=ada, level=Membership.Level.OWNER)
    other = Project.objects.create(slug="elsewhere", name="Elsewhere")
    Membership.objects.create(project=other, user=people["outsider"])
    dataset = datasets.freeze(
        by=ada, project=project, name=WORK[2], recordings=[song], use=Use.TRAIN_GENERATIVE
    )
    run = runs.submit(
        by=ada, project=project, recipe="flow_matching", config={}, dataset=dataset, name=WORK[1]
    )
    sweep = sweeps.start(
        by=ada, project=project, wanted=Wanted(
            recipe="tone_check", config={}, space={"seed": [1, 2]}, objective="loss", name=WORK[1],
        ),
    )  # fmt: skip
    SweepTrial.objects.create(sweep=sweep, number=1, params={"seed": 1})
    attempt = runs.claim(run)
    assert attempt
    runs.mark_started(attempt)
    used = wire.UsageLine(recording=song.pk, examples=10, seconds=5.0)
    usage_report.report(run, wire.UsageReport(step=10, lines=[used]))
    weights = b"weights"
    said = wire.CheckpointMeta(step=10, sha256=hashlib.sha256(weights).hexdigest(), meta={})
    checkpoint, _ = checkpoints.receive(run=run, file=io.BytesIO(weights), meta=said)
    sample = make_sample(run, prompt=WORK[3])
    test = trials.open_test(
        by=ada, project=project, title="Which one", question="How?", samples=[sample]
    )
    given = issuing.download(sample, by=ada)
    near = Screening.objects.create(
        sample=sample, version=prints.VERSION, outcome="near_copy", recording=song, score=0.9,
        threshold=0.86, clip_at=1.0, recording_at=2.0, length=4.0,
    )  # fmt: skip
    flag = flags.flag(by=noor, party=party, sample=make_sample(run, "b"), reason="Too close.")
    page = pages.ask(
        by=ada, project=project, run=run, checkpoint=checkpoint, title="Public light",
        version="1.0", parts={"about": "Loops.", "provider": "Lab, rights@lab.example"},
    )  # fmt: skip
    pages.approve(by=second_admin(), text=page.texts.get())
    with given.file:
        file = storage.put(given.file, media_type=given.media_type)
    clip = ClipRelease.objects.create(
        sample=sample, page=page, title="Loop", asked_by=ada, answered_by=rosa,
        released_at=timezone.now(), credential=given.credential, file=file,
    )  # fmt: skip
    log_media(run, 10, spec=Image(np.zeros((2, 2))), said=Text(WORK[3]))
    describing.edit(run=run, by=ada, notes="Louder")
    runs_batch, _ = bulk.do(
        by=ada, project=project, rows=project.runs.filter(pk=run.pk), act="tag", tags=["loud"]
    )
    waiting = pages.reword(
        by=ada, page=page,
        parts={"about": "More loops.", "provider": "Lab, rights@lab.example"},
    )  # fmt: skip
    decision = consent.check([song], Use.EVAL, consent.Context("research", "world", "b"), by=rosa)
    # Something that was withdrawn, with its case, beside what stands.
    ended = allow(rosa, party, Use.STEMS)[0]
    freeze_stems(ada, project, song)
    lifecycle.withdraw(ended, rosa, PAPER[1])
    case = WithdrawalCase.objects.get()
    judged = case.items.create(kind="sample", key=str(sample.pk), label="One of its samples")
    job = jobs.upload(by=rosa, file=io.BytesIO(b"title,isrc\nNew,QZABC2699999\n"), name="list.csv")
    batch = batches.receive(by=rosa, files=[batches.Sent("song.wav", io.BytesIO(b"no sound"), 8)])
    token, _ = tokens.issue(ada, "script", by=ada)
    view = saved_views.save(by=ada, project=project, name=WORK[1], layout=Layout(), shared=True)
    rule = rules.create(
        by=ada, project=project, kind="state", states=["failed"], audience="owner", scope="all",
        name="Failed", level="warn", cooldown_minutes=0, query="",
    )  # fmt: skip
    alerts.raise_by_rule(rule, run, crossing=1, text="It failed.", at=timezone.now())
    comment = comments.post(by=ada, subject=subjects.of_run(run), text=WORK[3]).comment
    webhook, _ = webhooks.create(
        by=ada, project=project, name="pager", kind="json", url="https://hooks.example.com/x"
    )

    report = reports.create(
        by=ada, project=project, title=WORK[1], text=f"```runs\nruns: {run.number}\n```"
    )
    reports.publish(by=ada, report=report)
    made = exports.ask(by=ada, report=report, format="html")
    deleted = reports.create(by=ada, project=project, title=WORK[1], text=WORK[3])
    reports.publish(by=ada, report=deleted)
    shelving.delete(by=ada, report=deleted)

    sheet = song.splits.get()
    work = song.works.get()
    charts = layouts.save(by=ada, project=project, name="Umbra layout", content={"panels": []})
    return World(
        people,
        [
            (r"rights/parties/", {"pk": party.pk, "number": party.identifiers.get().pk}),
            (r"rights/(works)/", {"pk": work.pk}),
            (r"rights/(recordings|mine)/", {"pk": song.pk, "number": stem.pk}),
            (r"rights/mine/[a-z/<>:_]*on/", {"use": "derive.remix"}),
            (r"rights/mine/[a-z/<>:_]*off/", {"use": "train.generative"}),
            (r"rights/mine/(uses|statements)/", {"pk": party.pk}),
            (r"rights/(mine/)?grants/", {"pk": first.pk}),
            (r"rights/(mine/)?grants/<int:pk>/(activate|approve|decline|gain)", {"pk": offered.pk}),
            (r"rights/releases/", {"pk": release.pk}),
            (r"rights/relations/", {"pk": relation.pk}),
            (r"rights/sounds/", {"pk": question.pk}),
            (r"(api/v1/)?rights/decisions/", {"pk": decision.pk}),
            (r"rights/splits/", {"pk": sheet.pk, "party_pk": party.pk}),
            (r"rights/agreements/", {"pk": agreement.pk}),
            (r"rights/mandates/", {"pk": mandate.pk}),
            (r"rights/cases/", {"pk": case.pk, "kind": "dataset"}),
            (r"rights/cases/items/", {"pk": case.items.earliest("pk").pk}),
            (r"rights/cases/tasks/", {"pk": case.tasks.earliest("pk").pk}),
            (r"rights/imports/", {"pk": job.pk}),
            (r"rights/find/", {"kind": "party"}),
            (r"rights/exports/", {"extension": "csv"}),
            (r"api/v1/rights/recordings/", {"pk": song.pk}),
            (r"api/v1/audit/", {"seq": 1}),
            (r"", {"slug": project.slug, "run_id": run.pk, "step": 10, "recording_id": song.pk}),
            (r"projects/.*reproduce/", {"name": "config.yaml"}),
            (r"", {"number": run.number, "code": test.items.get().code}),
            (r"", {"version": 1, "act": "tag", "batch": runs_batch.pk}),
            (r"", {"media_id": run.media.get(kind="image").pk}),
            (r"projects/.*media/", {"pk": run.media.get(kind="image").pk}),
            (r"projects/.*sweeps/", {"number": sweep.number, "trial": 1}),
            (r"api/v1/sweeps/", {"sweep_id": sweep.pk}),
            (r"projects/.*datasets/", {"pk": dataset.pk}),
            (r"projects/.*views/", {"pk": view.pk}),
            (r"projects/.*batches/", {"pk": runs_batch.pk}),
            (r"projects/.*models/", {"pk": page.pk}),
            (r"projects/.*charts/", {"pk": charts.pk}),
            (r"reports/", {"pk": report.pk}),
            (r"reports/.*bring-back/", {"pk": deleted.pk}),
            (r"reports/.*exports/", {"number": made.pk}),
            (r"api/v1/projects/.*reports/", {"number": report.pk}),
            (r"models/", {"slug": page.slug}),
            (r"publishing/texts/", {"pk": waiting.pk}),
            (r"publishing/pages/", {"pk": page.pk}),
            (r"samples/", {"pk": sample.pk}),
            (r"samples/flags/", {"pk": flag.pk}),
            (r"samples/clips/", {"pk": clip.pk}),
            (r"samples/cases/", {"pk": judged.pk}),
            (r"models/.*clips/", {"number": given.credential.pk}),
            (r"samples/credentials/", {"number": given.credential.pk}),
            (r"samples/copies/", {"pk": near.pk}),
            (r"listen/", {"pk": test.pk}),
            (r"rights/files/", {"pk": batch.pk, "number": batch.files.get().pk}),
            (r"tokens/", {"pk": token.pk}),
            (r"discussion/", {"kind": "run", "key": run.pk, "pk": comment.pk}),
            (r"api/v1/comments/", {"pk": comment.pk}),
            (r"inbox/", {"pk": Notice.objects.get(user=ada).pk}),
            (r"projects/.*alerts/rules/", {"pk": rule.pk}),
            (r"projects/.*webhooks/", {"pk": webhook.pk}),
            (r"operator/", {"object_id": run.pk, "id": noor.pk,
                            "content_type_id": ContentType.objects.get_for_model(Run).pk}),
        ][::-1],
    )  # fmt: skip


def freeze_stems(by: User, project: Project, song: Any) -> None:
    datasets.freeze(by=by, project=project, name="stems", recordings=[song], use=Use.STEMS)
