"""What an offered grant would newly allow, before anybody signs it. Nothing is stored."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time

from django.utils import timezone

from rights import territories
from rights.consent import consent, evaluator, reasons, relations, snapshot
from rights.consent.facts import Facts
from rights.models import Grant, Purpose, Recording, Use
from rights.withdrawal import holds

NAMED = 20


@dataclass(frozen=True)
class Gain:
    """What a grant would newly allow: by itself, and together with everything else that its grantor
    offers for the use. `lacking` counts the recordings still refused even then, by reason."""

    covered: int
    named: list[Recording]
    alone: int
    together: int
    offers: int
    lacking: list[tuple[int, str]]
    scope: consent.Context


def gain(grant: Grant) -> Gain:
    """Evaluate as if the grant were in force, in the first of its purposes and territories."""
    covered = list(holds.covered_by(grant).order_by("pk").values_list("pk", flat=True))
    # A recording derived from one of these may need this permission too.
    ids = sorted(relations.with_derived(covered))
    offers = Grant.objects.filter(
        grantor=grant.grantor_id, use=grant.use, status=Grant.Status.OFFERED
    )
    every = set(offers.values_list("pk", flat=True)) | {grant.pk}
    scope, at = _scope(grant), _moment(grant)
    facts = snapshot.gather(ids, Use(grant.use), timezone.now(), now=True)
    allowed_now = _allowed(_judged(facts, scope, at, ()))
    alone = _allowed(_judged(facts, scope, at, {grant.pk})) - allowed_now
    together = _judged(facts, scope, at, every)
    refusals = Counter(
        words
        for missing in together.values()
        for words in {reasons.brief(lack.code) for lack in missing}
    )
    return Gain(
        covered=len(covered),
        named=list(Recording.objects.filter(pk__in=sorted(alone)[:NAMED])),
        alone=len(alone),
        together=len(_allowed(together) - allowed_now),
        offers=len(every) - 1,
        lacking=[(number, words) for words, number in refusals.most_common()],
        scope=scope,
    )


def _scope(grant: Grant) -> consent.Context:
    world = territories.WORLD
    places = grant.territories or [world]
    return consent.Context(
        purpose=Purpose((grant.purposes or [Purpose.RESEARCH])[0]),
        territory=world if world in places else places[0],
        model_family=grant.model_family or "backline",
        model_version=grant.first_version or 1,
        product=(grant.products or [""])[0],
        channel=(grant.channels or [""])[0],
    )


def _moment(grant: Grant) -> datetime:
    return max(timezone.now(), datetime.combine(grant.starts_on, time(12), UTC))


def _judged(
    facts: Facts, scope: consent.Context, at: datetime, signed: Collection[int]
) -> dict[int, list[reasons.Missing]]:
    """Return what each recording lacks if the offers in `signed` were in force."""
    stored = facts.grants
    facts.grants = defaultdict(list)
    for key, grants in stored.items():
        facts.grants[key] = [
            grant._replace(activated_at=at) if grant.pk in signed else grant for grant in grants
        ]
    judge = evaluator.Judge(facts, scope, at)
    missing = {music.pk: judge.judge(music)[0] for music in facts.recordings}
    facts.grants = stored
    return missing


def _allowed(judged: dict[int, list[reasons.Missing]]) -> set[int]:
    return {pk for pk, missing in judged.items() if not missing}
