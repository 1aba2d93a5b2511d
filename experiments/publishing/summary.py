"""The public summary of training content, in the shape of the AI Office's template.

Template for the public summary of training content of general-purpose AI models, Art. 53(1)(d)
of Regulation (EU) 2024/1689, published on 24 July 2025; what could not be compared with its own
text is in docs/decisions.md. Every number comes from frozen datasets, decisions and the ledger;
the free texts are those of the page's approved version.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from django.db.models import Max

from experiments.models.ancestry import Link
from experiments.models.publishing import ModelPage
from experiments.publishing.agreements import AgreementsSummary
from experiments.publishing.page_data import PageData
from experiments.publishing.template import HEADINGS, QUESTIONS
from experiments.publishing.training_credits import TrainingCredits
from rights.models import Recording, UsageEvent

ROWS, WORDS, PORTAL = "rows", "provider", "portal"
# Recipes whose program is not the lab's own: the portal sees only what it reports.
OWN_PROGRAMS = ("", "program")
# The template's ranges of audio, in hours.
RANGES = (
    (10_000, "Less than 10 000 hours"),
    (1_000_000, "10 000 to 1 million hours"),
    (float("inf"), "More than 1 million hours"),
)


class Entry(TypedDict):
    """One question. `basis`: counted from rows, the provider's words, or how the portal works."""

    question: str
    answer: str
    basis: str


class Section(TypedDict):
    number: str
    heading: str
    entries: list[Entry]


class Figures(TypedDict):
    recordings: int
    recordings_frozen_but_not_used: int
    recordings_left_out: int
    hours: float
    hours_heard: float
    examples: int
    agreements: int
    rightsholders: int
    rightsholders_by_kind: list[dict[str, object]]


class Summary(TypedDict):
    template: str
    model: str
    version: str
    state: str
    state_in_words: str
    text_version: int
    text_written_at: str
    generated_at: str
    figures: Figures
    sections: list[Section]


def build_summary(data: PageData, at: datetime) -> Summary:
    """Build the whole summary as plain JSON values; pages and prints show this and nothing else."""
    text = data.text
    return Summary(
        template=(
            "Public summary of training content, Article 53(1)(d) of Regulation (EU) 2024/1689, "
            "template of 24 July 2025"
        ),
        model=data.title,
        version=data.version,
        state=data.standing.words,
        state_in_words=data.standing.sentence,
        text_version=text.number,
        text_written_at=text.created_at.date().isoformat(),
        generated_at=at.isoformat(timespec="seconds"),
        figures=_figures(data.learned, data.papers),
        sections=[
            *_general(data),
            *_sources(data),
            *_processing(data),
        ],
    )


def size_range(hours: float) -> str:
    """Return the template's range that this many hours of audio fall in."""
    return next(label for limit, label in RANGES if hours <= limit)


def _figures(training: TrainingCredits, agreements: AgreementsSummary) -> Figures:
    return Figures(
        recordings=training.recordings,
        recordings_frozen_but_not_used=training.unheard,
        recordings_left_out=training.left_out,
        hours=round(training.duration / 3600, 6),
        hours_heard=round(training.seconds / 3600, 6),
        examples=training.examples,
        agreements=agreements.agreements,
        rightsholders=agreements.rightsholders,
        rightsholders_by_kind=[
            {
                "kind": kind.kind,
                "rightsholders": kind.rightsholders,
                "agreements": kind.agreements,
                "recordings": kind.recordings,
                "hours": round(kind.hours, 6),
            }
            for kind in agreements.kinds
        ],
    )


def _general(data: PageData) -> list[Section]:
    texts, training = data.said, data.learned
    hours = training.duration / 3600
    last = _last_delivery(data.line)
    size = (
        f"{size_range(hours)}: {_hours(hours)} in {_count(training.recordings, 'recording')}. "
        f"Used in training, with repetitions: {_hours(training.seconds / 3600)} in "
        f"{_count(training.examples, 'excerpt')}."
    )
    return [
        _section(
            "1.1",
            provider=(texts["provider"], WORDS),
            representative=(texts["representative"], WORDS),
        ),
        _section(
            "1.2",
            names=(f"{data.title}, version {data.version}", WORDS),
            dependencies=(_dependencies(data), ROWS),
            placed_on_market=(texts["placed_on_market"], WORDS),
        ),
        _section(
            "1.3",
            modality=("Audio", PORTAL),
            size=(size, ROWS),
            content_types=(texts["content_types"], WORDS),
            latest=(f"{last:%m/%Y}" if last else "Not recorded.", ROWS),
            continuous=("No. Its datasets are frozen: nothing is added to them later.", PORTAL),
            languages=(texts["languages"], WORDS),
            characteristics=(texts["characteristics"], WORDS),
        ),
    ]


def _sources(data: PageData) -> list[Section]:
    texts = data.said
    # For somebody's own program the owner answers this, as the portal cannot know it.
    has_own_program = any(link.run.recipe in OWN_PROGRAMS for link in data.line)
    negative = ("No.", WORDS if has_own_program else PORTAL)
    return [
        _section("2.1", public=negative),
        _section(
            "2.2.1",
            licensed=(_licensed(data), ROWS),
            covered=("Audio", PORTAL),
            kinds=(_kinds(data.papers), ROWS),
        ),
        _section("2.2.2", third_parties=negative),
        _section("2.3", crawlers=negative),
        _section("2.4", interactions=negative, services=negative),
        _section("2.5", synthetic=_declared(texts["synthetic"])),
        _section("2.6", other_sources=_declared(texts["other_sources"])),
    ]


def _licensed(data: PageData) -> str:
    agreements, training = data.papers, data.learned
    if not agreements.agreements:
        return "No agreement is on record for what was used."
    return (
        f"Yes: {_count(agreements.agreements, 'agreement')} with "
        f"{_count(agreements.rightsholders, 'rightsholder')}, for "
        f"{_count(training.recordings, 'recording')} of {_hours(training.duration / 3600)}."
    )


def _kinds(agreements: AgreementsSummary) -> str:
    lines = [
        f"{kind.kind}: {_count(kind.rightsholders, 'rightsholder')}, "
        f"{_count(kind.agreements, 'agreement')}, {_count(kind.recordings, 'recording')}, "
        f"{_hours(kind.hours)}."
        for kind in agreements.kinds
    ]
    return " ".join(lines) or "None."


def _processing(data: PageData) -> list[Section]:
    texts, left_out = data.said, data.learned.left_out
    measures = (
        "Nothing is mined under the text and data mining exception: a recording is used only "
        "where everybody who holds a right in it has allowed this use, and is refused where that "
        "is not known. "
    )
    if left_out:
        measures += (
            f"Asked for and left out for want of a permission: {_count(left_out, 'recording')}."
        )
    else:
        measures += "No recording that was asked for had to be left out."
    further = {"reservations": (texts["reservations"], WORDS)} if texts["reservations"] else {}
    return [
        _section(
            "3.1", signatory=(texts["signatory"], WORDS), measures=(measures, ROWS), **further
        ),
        _section("3.2", illegal_content=(texts["illegal_content"], WORDS)),
        _section("3.3", other_processing=(texts["other_processing"] or "None.", WORDS)),
    ]


def _section(number: str, **answers: tuple[str, str]) -> Section:
    return Section(
        number=number,
        heading=HEADINGS[number],
        entries=[
            Entry(question=QUESTIONS[key], answer=answer, basis=basis)
            for key, (answer, basis) in answers.items()
        ],
    )


def _declared(text: str) -> tuple[str, str]:
    return (f"Yes: {text}", WORDS) if text else ("No.", WORDS)


def _dependencies(data: PageData) -> str:
    """Name the models whose weights it started from, as on their own public pages."""
    page, veil = data.page, data.learned.veil
    earlier_runs = [link.run.pk for link in data.line[1:]]
    if not earlier_runs:
        return "None on record: it started from no other model's weights."
    rows = ModelPage.objects.public().filter(run__in=earlier_runs).exclude(pk=page.pk)
    names = [veil.redact(str(row)) for row in rows]
    unpublished = len(earlier_runs) - len({row.run_id for row in rows})
    if unpublished:
        names.append(
            f"{_count(unpublished, 'earlier model')} of the provider without a public page"
        )
    models = "; ".join(names)
    return f"It started from the weights of: {models}. What they learned from is counted here."


def _last_delivery(line: Sequence[Link]) -> datetime | None:
    events = UsageEvent.objects.filter(source__in=[link.source for link in line])
    rows = Recording.objects.filter(pk__in=events.values("recording"))
    latest: datetime | None = rows.aggregate(last=Max("audio_at"))["last"]
    return latest


def _hours(hours: float) -> str:
    """Format hours; small sets give minutes or seconds, so that no number is shown as zero."""
    if hours >= 10:
        return f"{hours:,.0f} hours"
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = hours * 60
    return f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.1f} seconds"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
