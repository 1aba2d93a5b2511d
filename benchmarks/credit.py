"""The credits of a model that learned from 90,000 recordings: one statement, and the pages.

The world of `consent.py` with 100,000 recordings, a dataset of all of them (a tenth is left out),
a run that used what was permitted, a sample of it, and its public page. Times, queries and bytes of
the sample's credit statement when the sample comes and when the next one of the same step does, of
the pages that tell of it, and of the public page, first and again. No other tool keeps such a
statement: a target is printed instead of a ratio.
"""

from typing import Any

from benchmarks.worlds import Watch, in_its_own_process

RECORDINGS = 100_000
TARGET_SECONDS = 3.0
WORDS = {
    "first": "the statement of the first sample of a step",
    "next": "that of the next one",
    "list": "the list of samples",
    "sample": "the page of one, with the greatest shares",
    "run": "the run's page",
    "file": "the statement as a file",
    "public": "the model's public page",
    "public_again": "the same again",
}


def build() -> tuple[Any, Any, Any]:
    """The run, its sample, and its public page."""
    from audio_samples.models import Sample
    from benchmarks import consent
    from experiments.models import Checkpoint, Membership, Project, Run
    from experiments.publishing import pages
    from experiments.runs import datasets
    from portal.models import Blob, Role, User
    from rights.models import Use
    from rights.usage import ledger

    consent.build(RECORDINGS)
    admin, project = User.objects.get(), Project.objects.get()
    Membership.objects.create(project=project, user=admin, level="owner")
    dataset = datasets.freeze(
        by=admin, project=project, name="All", recordings=list(range(1, RECORDINGS + 1)),
        use=Use.TRAIN_GENERATIVE,
    )  # fmt: skip
    run = Run.objects.create(
        project=project, number=1, name="r", dataset=dataset, use=dataset.use, submitted_by=admin,
        state="finished", decision=dataset.decision,
    )  # fmt: skip
    used = dataset.items.filter(included=True).values_list("recording", flat=True)
    ledger.report(
        ledger.Event(pk, run.use, f"run:{run.pk}", 100, 1 + pk % 3, 3.0 + pk % 7) for pk in used
    )
    blob = Blob.objects.first()
    assert blob is not None
    checkpoint = Checkpoint.objects.create(run=run, step=100, blob=blob)
    sample = Sample.objects.create(
        run=run,
        name="s",
        identity="s",
        step=100,
        audio=blob,
        duration=4,
        sample_rate=44_100,
        channels=1,
    )
    words = {"about": "About it.", "provider": "The lab"}
    page = pages.ask(
        by=admin, project=project, run=run, checkpoint=checkpoint, title="Big", version="1",
        parts=words,
    )  # fmt: skip
    other = User.objects.create_user("otto", roles=[Role.RIGHTS_ADMIN])
    return run, sample, pages.approve(by=other, text=page.texts.get())


def measure() -> dict[str, float]:
    from django.test import Client
    from django.urls import reverse

    from audio_samples import credit_statements

    run, sample, page = build()
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(run.submitted_by)
    # A portal that serves has its addresses read; that is no part of the question.
    client.get("/projects/")
    watch = Watch()
    sample.credit = watch.timed("first", lambda: credit_statements.statement_at(run, 100))
    sample.save()
    assert watch.timed("next", lambda: credit_statements.statement_at(run, 100)) == sample.credit
    watch.found["recordings"] = sample.credit.learned
    watch.found["packed"] = len(sample.credit.packed)
    public = page.get_absolute_url()
    for name, path in {
        "list": reverse("audio_samples:project", args=["bench"]),
        "sample": reverse("audio_samples:sample", args=[sample.pk]),
        "run": run.get_absolute_url(),
        "file": reverse("audio_samples:credits", args=[sample.pk]),
        "public": public,
        "public_again": public,
    }.items():
        answer = watch.timed(name, lambda path=path: client.get(path))  # type: ignore[misc]
        assert answer.status_code == 200, path
        watch.found[f"{name}_bytes"] = len(answer.content)
    return watch.found


def main() -> None:
    found = in_its_own_process("credit", "measure()")
    print(f"credits of {found['recordings']:,.0f} recordings, SQLite (peers: none)")
    for name, words in WORDS.items():
        size = found.get(f"{name}_bytes")
        print(
            f"{words:48}{found[f'{name}_cpu']:6.2f} ({found[name]:.2f}) s, "
            f"{found[f'{name}_queries']:3.0f} q"
            + (f", {size / 1000:7,.0f} kB" if size is not None else "")
        )
    print(f"kept: {found['packed'] / 1e6:.2f} MB. Seconds of processor, in brackets by the clock.")
    worst = max(found[f"{name}_cpu"] for name in ("first", "list", "sample", "run"))
    print(f"target: each under {TARGET_SECONDS:g} s before a person waits; here {worst:.2f} s")
    if worst > TARGET_SECONDS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
