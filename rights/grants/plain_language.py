"""What a permission means, for a musician: each use, each state and each scope in one sentence."""

from dataclasses import dataclass
from datetime import date

from rights import territories
from rights.grants import terms
from rights.models import Channel, Grant, Mandate, Purpose, RightType, WithdrawalPolicy

RIGHT = {
    RightType.COMPOSITION: "the composition",
    RightType.MASTER: "the recording",
    RightType.PERSONA: "the person",
}

POLICY = {
    WithdrawalPolicy.RECALL: (
        "Runs stop, samples are recalled, and models that learned from it are trained anew "
        "without it or retired, within {days} days."
    ),
    WithdrawalPolicy.RETRAIN: (
        "Runs stop, and models that learned from it are trained anew without it or retired, within "
        "{days} days. Samples that were released already stay, as you agreed."
    ),
    WithdrawalPolicy.NEXT_VERSION: (
        "The model version that learned from it stays, as you agreed; the next one does without it."
    ),
}


def scope(grant: Grant) -> str:
    """Return where, for what and until when a grant permits its use, as one sentence."""
    purposes = _listed([Purpose(purpose).label.lower() for purpose in grant.purposes]) or "nothing"
    parts = [f"For {purposes}, in {territory_names(grant.territories)}"]
    if grant.model_family:
        parts.append(f"models of the family “{grant.model_family}” only{_versions(grant)}")
    elif versions := _versions(grant):
        parts.append("models" + versions)
    if grant.products:
        parts.append(f"in {_listed(grant.products)} only")
    if grant.channels:
        parts.append(
            "going " + _listed([Channel(channel).label.lower() for channel in grant.channels])
        )
    parts.append(_days(grant.starts_on, grant.ends_on))
    sentence = ", ".join(parts) + "."
    if grant.condition:
        sentence += f" Not before this is settled: {grant.condition.rstrip('.')}."
    return sentence


def territory_names(codes: list[str]) -> str:
    names = territories.names()
    world = territories.WORLD in codes
    return "the whole world" if world else _listed([names.get(code, code) for code in codes])


def state(grant: Grant, *, ours: bool) -> str:
    """Return the state of a grant; for an offer, whose answer is missing."""
    if grant.status == Grant.Status.OFFERED:
        return "Waiting for the lab" if ours else "Waiting for your answer"
    if grant.status == Grant.Status.SUSPENDED:
        return "Paused by the lab"
    return grant.state_in_words


def also_for(row: Mandate) -> str:
    """Return whose share an agent's grant covers besides, and where, as far as the mandate goes."""
    return f"the share of {row.holder}, in {territory_names(row.territories)}"


def policy(grant: Grant) -> str:
    """Return what the end of the grant brings about, as was agreed."""
    return POLICY[WithdrawalPolicy(grant.withdrawal_policy)].format(days=grant.remedy_days)


@dataclass(frozen=True)
class Subject:
    """What a grant is narrowed to, in words; `recording_id` is for the artist's own page of it."""

    words: str
    recording_id: int | None = None


def subject(grant: Grant) -> Subject:
    if grant.recording is not None:
        return Subject(f"“{grant.recording}”", grant.recording_id)
    if grant.work is not None:
        return Subject(f"the work “{grant.work}”")
    return Subject(f"everything of {grant.grantor}")


def _versions(grant: Grant) -> str:
    first, last = grant.first_version, grant.last_version
    if first and last:
        return f", version {first}" if first == last else f", versions {first} to {last}"
    if first:
        return f", from version {first} on"
    return f", up to version {last}" if last else ""


def _days(starts_on: date, ends_on: date | None) -> str:
    until = f"to {terms.day(ends_on)}" if ends_on else "until you end it"
    return f"from {terms.day(starts_on)} {until}"


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


# Singular, plural, and what happens to them when the permission behind them ends.
CONSEQUENCES = {
    "dataset": ("set of recordings", "sets of recordings", "marked at once, and never used again"),
    "run": ("run", "runs", "what is under way stops within 30 seconds, what waits does not start"),
    "checkpoint": (
        "saved state of a model",
        "saved states of models",
        "withheld at once, then trained anew or retired",
    ),
    "sample": ("sample", "samples", "silent at once, for everybody"),
    "test": ("listening test", "listening tests", "goes on without these samples"),
    "clip": ("clip in public", "clips in public", "silent at once, for everybody"),
    "page": (
        "published model",
        "published models",
        "its page says at once that a permission has ended, and names you no longer",
    ),
}


def consequence(kind: str, number: int, *, stays: bool) -> str:
    """Return what is counted, and what happens to it; where it stays as agreed only the former."""
    singular, plural, outcome = CONSEQUENCES[kind]
    counted = singular if number == 1 else plural
    return counted if stays else f"{counted}: {outcome}"
