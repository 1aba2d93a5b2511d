"""The impact of a holder with 10,000 recordings, before and when everything ends.

A holder of 10,000 masters, three datasets of all of them, 30 runs, 300 checkpoints, 3,000 samples
and 30 listening tests, in an SQLite database of its own; once permitted by one grant for the whole
catalogue, once by 10,000 grants for a recording each. Times and queries of the preview, of ending
it all (holds, cases, marks), of a second look, and of the list of a sample page before and after.
No other tool answers this question: the target is printed instead of a ratio.
"""

from typing import Any

from benchmarks.worlds import Watch, in_its_own_process

RECORDINGS, DATASETS, RUNS, CHECKPOINTS, SAMPLES = 10_000, 3, 30, 300, 3_000
TARGET_SECONDS = 2.0
WORDS = {
    "preview": "the impact graph (impact.impact)",
    "page": "the same as the page shows it, with the ledger's figures",
    "ending": "ending it all: holds, marks, the case",
    "again": "looking again (cases.refresh)",
    "nothing": "the clock's look where nothing has changed",
    "audible": "which of the 3,000 samples may be heard, afterwards",
}


# --- In the process that has the database ----------------------------------------------------


def build(*, single: bool) -> Any:
    """The holder; by SQL, so that it takes seconds."""
    from datetime import UTC, datetime

    from django.db import connection, transaction
    from django.utils import timezone

    from audio_samples.models import Sample
    from benchmarks.consent import fill
    from experiments.models import Checkpoint, Dataset, DatasetItem, Project, Run
    from listening.models import Item, ListeningTest
    from portal.models import Blob, Role, User
    from rights import models as m

    past = datetime(2026, 1, 1, tzinfo=UTC)
    at = f"'{connection.ops.adapt_datetimefield_value(past)}'"
    text = "CAST(i AS TEXT)"
    digest = f"substr('{'0' * 64}' || {text}, length({text}) + 1)"
    own = {"created_at": at}
    n = RECORDINGS
    with transaction.atomic():
        admin = User.objects.create_user("rosa", roles=[Role.RIGHTS_ADMIN])
        project = Project.objects.create(slug="bench", name="Bench")
        party = m.Party.objects.create(name="Holder", kind="person")
        fill(Blob, n, sha256=digest, size="1", media_type="'audio/flac'", **own)
        fill(
            m.Recording, n, title=f"'Song ' || {text}", audio_id=digest, audio_at=at,
            format="'FLAC'", duration="180", sample_rate="44100", channels="2",
            added_by_id=str(admin.pk), **own,
        )  # fmt: skip
        fill(
            m.SplitSheet, n, recording_id="i + 1", right_type="'master'", status="'confirmed'",
            version="1", **own,
        )  # fmt: skip
        fill(
            m.SplitLine, n, sheet_id="i + 1", party_id=str(party.pk), ppm="1000000",
            confirmed_at=at,
        )  # fmt: skip
        agreement = m.Agreement.objects.create(
            title="A", counterparty=party, signed_on=past.date(), created_by=admin
        )
        fill(
            m.Grant, n if single else 1, agreement_id=str(agreement.pk),
            grantor_id=str(party.pk), right_type="'master'", use="'train.generative'",
            status="'active'", activated_at=at, purposes="'[\"research\"]'",
            territories="'[\"world\"]'", starts_on="'2026-01-01'", drafted_by_id=str(admin.pk),
            **({"recording_id": "i + 1"} if single else {}), **own,
        )  # fmt: skip
        decision = m.Decision.objects.create(
            use="train.generative", as_of=past,
            context={"purpose": "research", "territory": "world", "model_family": "backline"},
            allowed=True, policy_version="1", input_digest="",
        )  # fmt: skip
        for number in range(DATASETS):
            dataset = Dataset.objects.create(
                project=project, name="D", version=number, use="train.generative", digest="",
                decision=decision, frozen_by=admin, frozen_at=past,
            )  # fmt: skip
            fill(
                DatasetItem, n, id=f"i + {number * n} + 1", dataset_id=str(dataset.pk),
                recording_id="i + 1", included="1", audio_id=digest,
            )  # fmt: skip
        runs = Run.objects.bulk_create(
            Run(
                project=project, number=number, name=f"Run {number}", use="train.generative",
                dataset_id=number % DATASETS + 1, submitted_by=admin, state="finished",
                ended_at=timezone.now(),
            )
            for number in range(RUNS)
        )  # fmt: skip
        blob = Blob.objects.first()
        assert blob is not None
        Checkpoint.objects.bulk_create(
            Checkpoint(run=runs[step % RUNS], step=step, blob=blob) for step in range(CHECKPOINTS)
        )
        samples = Sample.objects.bulk_create(
            Sample(
                run=runs[number % RUNS], name=f"s{number}", identity=f"s{number}", audio=blob,
                duration=10, sample_rate=44_100, channels=2, peaks=[[0, 1]] * 800,
            )
            for number in range(SAMPLES)
        )  # fmt: skip
        for number in range(RUNS):
            test = ListeningTest.objects.create(
                project=project, title=f"T{number}", question="?", seed=1, created_by=admin
            )
            heard = samples[number * 100 : (number + 1) * 100]
            Item.objects.bulk_create(Item(test=test, sample=sample) for sample in heard)
    return party


def measure(*, single: bool) -> dict[str, float]:
    from django.urls import reverse

    from audio_samples.models import Sample
    from portal.models import User
    from rights.withdrawal import cases, impact, withdraw_party

    watch = Watch()
    timed = watch.timed
    party = build(single=single)
    # A portal that serves has its addresses read; that is no part of the question.
    reverse("rights:home")
    admin = User.objects.get()
    lost, levels = timed("preview", lambda: impact.impact(impact.of_party(party)))
    assert len(lost) == RECORDINGS
    assert [len(level.nodes) for level in levels] == [DATASETS, RUNS, CHECKPOINTS, SAMPLES, RUNS]
    timed("page", lambda: impact.of_ending(impact.of_party(party)))
    opened = timed("ending", lambda: withdraw_party.leave(party, by=admin, reason="We part."))
    assert opened[0].items.count() == DATASETS + 2 * RUNS + CHECKPOINTS + SAMPLES
    timed("again", lambda: cases.refresh(opened[0]))
    cases.refresh_cases()
    assert timed("nothing", cases.refresh_cases) == 0
    assert timed("audible", lambda: Sample.objects.audible().count()) == 0
    return watch.found


# --- Around it ---------------------------------------------------------------------------------


def main() -> None:
    one = in_its_own_process("impact", "measure(single=False)")
    many = in_its_own_process("impact", "measure(single=True)")
    print(f"impact of a holder with {RECORDINGS:,} recordings, SQLite (peers: none)")
    print(f"{'':58}{'one grant':>24}{'10,000 grants':>24}")
    for name, words in WORDS.items():
        cells = [
            f"{r[f'{name}_cpu']:.2f} ({r[name]:.2f}) s, {r[f'{name}_queries']:,.0f} q"
            for r in (one, many)
        ]
        print(f"{words:58}{cells[0]:>24}{cells[1]:>24}")
    worst = max(one["preview_cpu"], many["preview_cpu"])
    print("Seconds of processor, in brackets by the clock, and queries.")
    print(f"target: preview under {TARGET_SECONDS:g} s; here {worst:.2f} s")
    if worst > TARGET_SECONDS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
