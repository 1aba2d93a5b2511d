"""The block `samples` of a report: players of what runs made, with credits, beside each other.

Who may hear a clip is decided each time the report is read, by the same modules as everywhere; a
block of players is never frozen. In a file stand the credits, with the names that parties chose for
the public: what is in a file can never be taken back. Its sound is in it only where the clip is
released to the public, and then it is the file that was signed for that.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from audio_samples import clips, releases
from audio_samples.clips import Clip, ClipRow
from audio_samples.models import ClipRelease, CreditStatement, Sample, SampleQuerySet
from experiments.models import Run
from experiments.models.publishing import ModelPage
from experiments.publishing import withdrawals
from experiments.reports import chosen, kinds, pieces
from experiments.reports.blocks import BadBlock, NothingThere, Options
from experiments.reports.export import sounds
from experiments.reports.export.sounds import Sound
from experiments.reports.kinds import Kind, Part, Reading
from experiments.reports.pieces import Clips, Piece, Words
from portal import storage
from portal.inputs import parameters
from portal.inputs.text import matching

# Clips beside each other that somebody listens to, and samples that are looked through for them.
MOST_CLIPS, USUAL_CLIPS = 24, 6
LOOKED_THROUGH = 5_000


@dataclass
class SamplesPart(Part):
    """Rows of clips, one for each prompt, and how many more there are."""

    rows: list[ClipRow]
    note: str

    def page(self) -> SafeString:
        context = {"rows": self.rows, "silent": clips.silent_rows(self.rows), "note": self.note}
        return SafeString(render_to_string("audio_samples/report_clips.html", context))

    def pieces(self) -> list[Piece]:
        public = _released(clip.sample for row in self.rows for clip in row.clips)
        left: dict[object, Collection[int]] = {}
        shown: list[Piece] = [
            Clips(title=row.title, clips=[_in_file(clip, public, left) for clip in row.clips])
            for row in self.rows
        ]
        return [*shown, *([Words(text=self.note)] if self.note else [])]


class SamplesBlock(Kind):
    name = "samples"
    title = "Players of samples"
    keys = {
        **chosen.KEYS,
        "step": "last, final or a step; without it the last of each",
        "name": "a part of their name",
        "prompt": "a part of their prompt",
        "most": f"how many clips, up to {MOST_CLIPS}",
    }
    example = "```samples\nquery: state:finished\nstep: final\nmost: 6\n```"

    def part(self, options: Options, reading: Reading) -> Part:
        runs = chosen.runs(options, reading).runs
        most = options.number("most", USUAL_CLIPS, least=1, most=MOST_CLIPS)
        found = _latest(_wanted(options, runs), runs)
        if not found:
            raise NothingThere("None of these runs has such a sample.", options.first_line)
        # The newest runs first: of forty seeds one hears some.
        shown = Sample.objects.filter(pk__in=found[:most])
        rows = clips.grid(runs, clips.with_credits(shown))
        place = f"report:{'.'.join(map(str, reading.trail))}:{options.first_line}"
        for row in rows:
            row.key = f"{place}:{row.key}"
        more = len(found) - most
        return SamplesPart(rows, f"And {more:,} more samples." if more > 0 else "")


def _wanted(options: Options, runs: Sequence[Run]) -> SampleQuerySet:
    rows = Sample.objects.filter(run__in=runs)
    step = options.text("step", "last")
    if step == "final":
        rows = rows.filter(final=True)
    elif (number := parameters.number(step)) is not None:
        rows = rows.filter(step=number, final=False)
    elif step != "last":
        raise BadBlock(
            f"“step” is last, final or a number, not “{step[:40]}”.", options.line("step")
        )
    for field in ("name", "prompt"):
        if text := options.text(field):
            rows = rows.filter(matching(text, field))
    return rows


def _latest(rows: SampleQuerySet, runs: Sequence[Run]) -> list[int]:
    """Return the newest sample of each run, prompt, seed and take; the newest runs come first."""
    place = {run.pk: -number for number, run in enumerate(runs)}
    latest: dict[tuple[object, ...], int] = {}
    newest = rows.order_by("-final", "-step", "-pk").values_list(
        "pk", "run", "prompt", "name", "seed", "take"
    )
    for pk, run, prompt, name, seed, take in newest[:LOOKED_THROUGH]:
        variant = str(seed) if seed is not None else name
        latest.setdefault((place[run], prompt or name, variant, take), pk)
    return [latest[key] for key in sorted(latest, key=lambda key: tuple(map(_sortable, key)))]


def _sortable(part: object) -> tuple[int, str]:
    return (part, "") if isinstance(part, int) else (0, str(part))


# --- Files ------------------------------------------------------------------------------------


def _in_file(
    clip: Clip, public: dict[int, int], left: dict[object, Collection[int]]
) -> pieces.Clip:
    sample = clip.sample
    if sample.run_id not in left:
        left[sample.run_id] = withdrawals.parties_who_left(sample.run)
    return pieces.Clip(
        label=clip.label, url=sample.get_absolute_url(), silent=clip.withheld,
        credit=_credit(sample.credit, left[sample.run_id]), release=public.get(sample.pk),
    )  # fmt: skip


def _credit(statement: CreditStatement | None, left: Collection[int]) -> str:
    """Return the credit line with the names that parties chose for the public."""
    if statement is None:
        return ""
    names = statement.public_names(left)
    recordings = statement.learned + statement.heard
    of = f"{recordings:,} recording{'' if recordings == 1 else 's'}"
    by = f", among others of {', '.join(names)}" if names else ""
    return f"Learned from {of}{by}. All credits are in the portal."


def _released(samples: Iterable[Sample]) -> dict[int, int]:
    """Return by sample the release that everybody may hear now."""
    ids = {sample.pk for sample in samples}
    pages = ModelPage.objects.filter(clips__sample__in=ids).distinct()
    return {
        release.sample_id: release.pk
        for page in pages
        for release in releases.public_clips(page)
        if release.sample_id in ids
    }


class ReleasedClips:
    """The signed files of released clips, for files of reports."""

    def read(self, release_ids: Collection[int], *, room: int) -> dict[int, Sound]:
        found: dict[int, Sound] = {}
        for release in self._standing(release_ids):
            file = release.file
            if file is None or file.size > room:
                continue
            with storage.open_blob(file.sha256) as opened:
                found[release.pk] = Sound(file.media_type, opened.read())
            room -= file.size
        return found

    def standing(self, release_ids: Collection[int]) -> set[int]:
        return {release.pk for release in self._standing(release_ids)}

    def _standing(self, release_ids: Collection[int]) -> list[ClipRelease]:
        pages = ModelPage.objects.filter(Q(clips__in=list(release_ids))).distinct()
        return [
            release
            for page in pages
            for release in releases.public_clips(page)
            if release.pk in release_ids
        ]


kinds.register(SamplesBlock())
sounds.register(ReleasedClips())
