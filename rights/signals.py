"""What holders tell machines: TDMRep and CAWG 1.1, read and written.

Read: what they say is noted on the recording or the party. It may deny, and it never permits: a
denial ends what it contradicts, an `allowed` is only shown. Written: an assertion or a rule that
follows from our grants; a grant to the lab is no word to others, so nothing ever says `allowed`.
Sources: W3C TDMRep final report of 2024-05-10; CAWG training and data mining 1.1 of 2025-05-06.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from django.db import transaction
from django.db.models import Q
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from portal import audit, turns
from portal.confirmation import Act
from portal.models import User
from rights import consent, holds, participation, territories
from rights.models import Grant, Mandate, Party, Purpose, Recording, Signal, Use
from rights.refused import Refused

LABEL = "cawg.training-mining"
# The assertion's keys and the uses that they stand for; other uses have keys of our own.
CAWG = {
    "cawg.data_mining": (Use.TRAIN_ANALYSIS, Use.TRAIN_GENERATIVE, Use.FINETUNE),
    "cawg.ai_inference": (Use.EVAL, Use.CONDITION),
    "cawg.ai_training": (Use.TRAIN_ANALYSIS,),
    "cawg.ai_generative_training": (Use.TRAIN_GENERATIVE, Use.FINETUNE),
}
OURS = "backline."
CUSTOM = {
    f"{OURS}{use.value}": (use,)
    for use in Use
    if use not in {one for uses in CAWG.values() for one in uses} or use == Use.FINETUNE
}
# A reservation is of text and data mining, of which the law counts training as a part.
RESERVED = CAWG["cawg.data_mining"]
MOST_BYTES = 256 * 1024


@dataclass(frozen=True)
class Said:
    """One thing that was read, and the uses that it denies (none: it is only noted)."""

    scheme: Signal.Scheme
    key: str
    value: str
    info: str
    denied: tuple[Use, ...]


# --- Reading --------------------------------------------------------------------------------


class Rule(BaseModel):
    """One entry of tdmrep.json. Other members are other people's and mean nothing here."""

    model_config = ConfigDict(extra="ignore")

    location: Annotated[str, Field(max_length=1_000)]
    reservation: Literal[0, 1] = Field(alias="tdm-reservation")
    policy: Annotated[str, Field(max_length=500)] = Field("", alias="tdm-policy")


class Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    use: Literal["allowed", "notAllowed", "constrained"]
    # The specification's prose says `constraints_info`; its schema is what counts.
    constraint_info: Annotated[str, Field(max_length=2_000)] = ""


class Assertion(BaseModel):
    model_config = ConfigDict(extra="ignore")

    entries: dict[Annotated[str, Field(max_length=100)], Entry] = Field(max_length=100)


def read_tdmrep(content: bytes, *, path: str = "") -> list[Said]:
    """The rule of a site's tdmrep.json for a path, the first that fits; without a path the site's:
    reserved where any rule reserves. Raises Refused."""
    value = _json(content)
    if not isinstance(value, list):
        raise Refused("file", "A tdmrep.json is a list of rules.", field="file")
    try:
        rules = [Rule.model_validate(one) for one in value]
    except ValidationError as error:
        raise Refused(
            "file", f"This is not a tdmrep.json: {_first(error)}", field="file"
        ) from error
    fitting = [rule for rule in rules if not path or _fits(rule.location, path)]
    if path:
        fitting = fitting[:1]
    if not fitting:
        return []
    rule = next((rule for rule in fitting if rule.reservation), fitting[0])
    denied = RESERVED if rule.reservation else ()
    return [
        Said(Signal.Scheme.TDMREP, "tdm-reservation", str(rule.reservation), rule.policy, denied)
    ]


def _fits(location: str, path: str) -> bool:
    """As in robots.txt: a star is anything, a dollar sign at the end is the end."""
    ends = location.endswith("$")
    parts = (location[:-1] if ends else location).split("*")
    pattern = ".*".join(re.escape(part) for part in parts)
    return re.match(pattern + ("$" if ends else ""), path) is not None


def read_cawg(content: bytes) -> list[Said]:
    """A `cawg.training-mining` assertion, bare or with its label. Raises Refused.

    Constrained is a denial: whoever gave more information is asked what it means, by a person.
    A key that we do not know denies nothing, and is noted.
    """
    value = _json(content)
    if isinstance(value, dict) and "entries" not in value:
        value = value.get("data", value.get(LABEL))
    try:
        entries = Assertion.model_validate(value).entries
    except ValidationError as error:
        raise Refused(
            "file", f"This is not a {LABEL} assertion: {_first(error)}", field="file"
        ) from error
    known = CAWG | CUSTOM
    return [
        Said(
            Signal.Scheme.CAWG,
            key,
            entry.use,
            entry.constraint_info[:500],
            () if entry.use == "allowed" else known.get(key, ()),
        )
        for key, entry in sorted(entries.items())
    ]


def _json(content: bytes) -> Any:
    if len(content) > MOST_BYTES:
        raise Refused("file", "The file is longer than any signal needs.", field="file")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused("file", "The file is not JSON.", field="file") from error


def _first(error: ValidationError) -> str:
    one = error.errors()[0]
    return f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}."


# --- Noting ---------------------------------------------------------------------------------


@transaction.atomic
def note(
    *, by: User, subject: Recording | Party, said: Iterable[Said], source: str
) -> list[Signal]:
    """Note what was read, and end what it contradicts; returns the signals that are new.

    The same word of the same source is noted once. A recording is opted out of the uses denied,
    for every party whose grants cover it; a party's grants of those uses are suspended.
    """
    source = source.strip()[:300]
    if not source:
        raise Refused("source", "Say where it was read.", field="source")
    at = turns.moment()
    made = []
    for one in said:
        last = subject.signals.filter(key=one.key, source=source).first()
        if last and (last.value, last.info) == (one.value, one.info):
            continue
        signal = Signal.objects.create(
            recording=subject if isinstance(subject, Recording) else None,
            party=subject if isinstance(subject, Party) else None,
            scheme=one.scheme,
            key=one.key,
            value=one.value,
            denies=bool(one.denied),
            info=one.info,
            source=source,
            made_by=by,
            seen_at=at,
        )
        made.append(signal)
        ended = _heed(subject, one, by=by, source=source)
        audit.record(
            by=by,
            verb="signal.noted",
            subject=subject,
            signal=signal.pk,
            key=one.key,
            value=one.value,
            grants=ended,
            private={"source": source, "info": one.info},
        )
    return made


def noting(
    *, by: User, subject: Recording | Party, said: list[Said], source: str
) -> Act[None, tuple[Recording | Party, list[Signal]]]:
    """`note` as an act whose page shows first what it ends (portal/confirmation.py)."""
    return Act(
        by=by,
        name=f"signal.note:{subject._meta.model_name}:{subject.pk}",
        look=lambda: None,
        facts=lambda seen: seen,
        verb=lambda: (subject, note(by=by, subject=subject, said=said, source=source)),
    )


def _heed(subject: Recording | Party, said: Said, *, by: User, source: str) -> list[int]:
    """End or suspend what the word contradicts; returns the grants."""
    reason = f"{said.key} says {said.value} at {source}."[:300]
    if isinstance(subject, Party):
        grants = Grant.objects.filter(
            grantor=subject, use__in=said.denied, status=Grant.Status.ACTIVE
        )
        return [participation.suspend(grant, by, reason).pk for grant in grants.order_by("pk")]
    ended: list[int] = []
    for use in said.denied:
        for party in _speaking_for(subject, use):
            ended += [grant.pk for grant in participation.covering(subject, use, party)]
            participation.opt_out(subject, use, party, by, reason)
    return sorted(ended)


def _speaking_for(recording: Recording, use: Use) -> list[Party]:
    """The parties whose open grants speak for this recording: holders, artists, their agents."""
    holders = holds.holders(recording)
    agents = Mandate.objects.filter(holder__in=holders).values("agent")
    near = Party.objects.filter(Q(pk__in=holders) | Q(pk__in=agents))
    return [party for party in near.order_by("pk") if participation.covering(recording, use, party)]


# --- Writing --------------------------------------------------------------------------------


def assertion(recording: Recording) -> dict[str, Any]:
    """The recording's `cawg.training-mining` assertion as our grants stand, for anybody to read.

    `notAllowed`; where the lab has a grant for each use that the key stands for, `constrained`
    with a sentence. Never `allowed`: others have to ask.
    """
    asked = consent.Context(Purpose.RESEARCH, territories.WORLD, "")
    granted = {use: consent.evaluate([recording], use, asked)[recording.pk].allowed for use in Use}
    keys: Mapping[str, tuple[Use, ...]] = CAWG | CUSTOM
    return {
        "label": LABEL,
        "data": {
            "entries": {
                key: {
                    "use": "constrained",
                    "constraint_info": "By agreement with one lab only; others have to ask.",
                }
                if all(granted[use] for use in uses)
                else {"use": "notAllowed"}
                for key, uses in sorted(keys.items())
            }
        },
    }


def site_rules() -> list[dict[str, Any]]:
    """The tdmrep.json of our own pages: all of it is reserved."""
    return [{"location": "/*", "tdm-reservation": 1}]
