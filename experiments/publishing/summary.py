"""The public summary of training content, in the shape of the AI Office's template.

Template for the public summary of training content of general-purpose AI models, Art. 53(1)(d)
of Regulation (EU) 2024/1689, published on 24 July 2025; what could not be compared with its own
text is in docs/decisions.md. Every number comes from frozen datasets, decisions and the ledger;
free texts come from the approved version of the page's own.
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


def build_summary(shown: PageData, at: datetime) -> Summary:
    """The whole summary as plain JSON values; pages and prints show this and nothing else."""
    text = shown.text
    return Summary(
        template=(
            "Public summary of training content, Article 53(1)(d) of Regulation (EU) 2024/1689, "
            "template of 24 July 2025"
        ),
        model=shown.title,
        version=shown.version,
        state=shown.standing.words,
        state_in_words=shown.standing.sentence,
        text_version=text.number,
        text_written_at=text.created_at.date().isoformat(),
        generated_at=at.isoformat(timespec="seconds"),
        figures=_figures(shown.learned, shown.papers),
        sections=[
            *_general(shown),
            *_sources(shown),
            *_processing(shown),
        ],
    )


def size_range(hours: float) -> str:
    """The template's range that so many hours of audio fall in."""
    return next(words for limit, words in RANGES if hours <= limit)


def _figures(learned: TrainingCredits, papers: AgreementsSummary) -> Figures:
    return Figures(
        recordings=learned.recordings,
        recordings_frozen_but_not_used=learned.unheard,
        recordings_left_out=learned.left_out,
        hours=round(learned.duration / 3600, 6),
        hours_heard=round(learned.seconds / 3600, 6),
        examples=learned.examples,
        agreements=papers.agreements,
        rightsholders=papers.rightsholders,
        rightsholders_by_kind=[
            {
                "kind": kind.kind,
                "rightsholders": kind.rightsholders,
                "agreements": kind.agreements,
                "recordings": kind.recordings,
                "hours": round(kind.hours, 6),
            }
            for kind in papers.kinds
        ],
    )


def _general(shown: PageData) -> list[Section]:
    said, learned = shown.said, shown.learned
    hours = learned.duration / 3600
    last = _last_delivery(shown.line)
    size = (
        f"{size_range(hours)}: {_hours(hours)} in {_count(learned.recordings, 'recording')}. "
        f"Heard in training, with repetitions: {_hours(learned.seconds / 3600)} in "
        f"{_count(learned.examples, 'excerpt')}."
    )
    return [
        _section(
            "1.1",
            provider=(said["provider"], WORDS),
            representative=(said["representative"], WORDS),
        ),
        _section(
            "1.2",
            names=(f"{shown.title}, version {shown.version}", WORDS),
            dependencies=(_dependencies(shown), ROWS),
            placed_on_market=(said["placed_on_market"], WORDS),
        ),
        _section(
            "1.3",
            modality=("Audio", PORTAL),
            size=(size, ROWS),
            content_types=(said["content_types"], WORDS),
            latest=(f"{last:%m/%Y}" if last else "Not recorded.", ROWS),
            continuous=("No. Its datasets are frozen: nothing is added to them later.", PORTAL),
            languages=(said["languages"], WORDS),
            characteristics=(said["characteristics"], WORDS),
        ),
    ]


def _sources(shown: PageData) -> list[Section]:
    said = shown.said
    # What a program of somebody's own did besides, its owner says, not the portal.
    own = any(link.run.recipe in OWN_PROGRAMS for link in shown.line)
    no = ("No.", WORDS if own else PORTAL)
    return [
        _section("2.1", public=no),
        _section(
            "2.2.1",
            licensed=(_licensed(shown), ROWS),
            covered=("Audio", PORTAL),
            kinds=(_kinds(shown.papers), ROWS),
        ),
        _section("2.2.2", third_parties=no),
        _section("2.3", crawlers=no),
        _section("2.4", interactions=no, services=no),
        _section("2.5", synthetic=_declared(said["synthetic"])),
        _section("2.6", other_sources=_declared(said["other_sources"])),
    ]


def _licensed(shown: PageData) -> str:
    papers, learned = shown.papers, shown.learned
    if not papers.agreements:
        return "No agreement is on record for what was used."
    return (
        f"Yes: {_count(papers.agreements, 'agreement')} with "
        f"{_count(papers.rightsholders, 'rightsholder')}, for "
        f"{_count(learned.recordings, 'recording')} of {_hours(learned.duration / 3600)}."
    )


def _kinds(papers: AgreementsSummary) -> str:
    lines = [
        f"{kind.kind}: {_count(kind.rightsholders, 'rightsholder')}, "
        f"{_count(kind.agreements, 'agreement')}, {_count(kind.recordings, 'recording')}, "
        f"{_hours(kind.hours)}."
        for kind in papers.kinds
    ]
    return " ".join(lines) or "None."


def _processing(shown: PageData) -> list[Section]:
    said, left_out = shown.said, shown.learned.left_out
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
    further = {"reservations": (said["reservations"], WORDS)} if said["reservations"] else {}
    return [
        _section("3.1", signatory=(said["signatory"], WORDS), measures=(measures, ROWS), **further),
        _section("3.2", illegal_content=(said["illegal_content"], WORDS)),
        _section("3.3", other_processing=(said["other_processing"] or "None.", WORDS)),
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


def _declared(words: str) -> tuple[str, str]:
    return (f"Yes: {words}", WORDS) if words else ("No.", WORDS)


def _dependencies(shown: PageData) -> str:
    """Models whose weights it started from, by the names of their own public pages."""
    page, veil = shown.page, shown.learned.veil
    before = [link.run.pk for link in shown.line[1:]]
    if not before:
        return "None on record: it started from no other model's weights."
    rows = ModelPage.objects.public().filter(run__in=before).exclude(pk=page.pk)
    names = [veil.over(str(row)) for row in rows]
    unknown = len(before) - len({row.run_id for row in rows})
    if unknown:
        names.append(f"{_count(unknown, 'earlier model')} of the provider without a public page")
    models = "; ".join(names)
    return f"It started from the weights of: {models}. What they learned from is counted here."


def _last_delivery(line: Sequence[Link]) -> datetime | None:
    heard = UsageEvent.objects.filter(source__in=[link.source for link in line])
    rows = Recording.objects.filter(pk__in=heard.values("recording"))
    found: datetime | None = rows.aggregate(last=Max("audio_at"))["last"]
    return found


def _hours(hours: float) -> str:
    """Hours to read: small sets say minutes or seconds, so that no number is nothing."""
    if hours >= 10:
        return f"{hours:,.0f} hours"
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = hours * 60
    return f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.1f} seconds"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
