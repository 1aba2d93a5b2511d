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
    """Where, for what and until when a grant permits, as one sentence."""
    purposes = _listed([Purpose(purpose).label.lower() for purpose in grant.purposes]) or "nothing"
    said = [f"For {purposes}, in {territory_names(grant.territories)}"]
    if grant.model_family:
        said.append(f"models of the family “{grant.model_family}” only{_versions(grant)}")
    elif versions := _versions(grant):
        said.append("models" + versions)
    if grant.products:
        said.append(f"in {_listed(grant.products)} only")
    if grant.channels:
        said.append(
            "going " + _listed([Channel(channel).label.lower() for channel in grant.channels])
        )
    said.append(_days(grant.starts_on, grant.ends_on))
    sentence = ", ".join(said) + "."
    if grant.condition:
        sentence += f" Not before this is settled: {grant.condition.rstrip('.')}."
    return sentence


def territory_names(codes: list[str]) -> str:
    names = territories.names()
    world = territories.WORLD in codes
    return "the whole world" if world else _listed([names.get(code, code) for code in codes])


def state(grant: Grant, *, ours: bool) -> str:
    """How it stands; of one that waits, whose answer is missing."""
    if grant.status == Grant.Status.OFFERED:
        return "Waiting for the lab" if ours else "Waiting for your answer"
    if grant.status == Grant.Status.SUSPENDED:
        return "Paused by the lab"
    return grant.state_in_words


def also_for(row: Mandate) -> str:
    """Whose share an agent's grant speaks for besides, and where, as far as the mandate goes."""
    return f"the share of {row.holder}, in {territory_names(row.territories)}"


def policy(grant: Grant) -> str:
    """What the end of the grant brings about, as was agreed."""
    return POLICY[WithdrawalPolicy(grant.withdrawal_policy)].format(days=grant.remedy_days)


@dataclass(frozen=True)
class Subject:
    """What a grant is narrowed to, in words; the address is the artist's own page of it."""

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


# One, several, and what becomes of them when the permission behind them ends.
AFTERWARDS = {
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


def afterwards(kind: str, number: int, *, stays: bool) -> str:
    """What is counted, and what becomes of it; where it stays as agreed only the first."""
    one, many, what = AFTERWARDS[kind]
    counted = one if number == 1 else many
    return counted if stays else f"{counted}: {what}"
