"""A small repertoire made with the product's own verbs, for everybody's tests."""

import io
from datetime import date
from itertools import count as counting

from django.http.response import HttpResponseBase

from portal.models import Role, User
from rights.catalogue import catalogue
from rights.grants import agreements, lifecycle
from rights.models import Credit, Grant, Party, Purpose, Recording, RightType, Use
from rights.parties import parties, splits
from tests.tones import tone

_numbers = counting(1)


def make_party(by: User, name: str = "", **fields: object) -> Party:
    return parties.add_party(by=by, name=name or f"Artist {next(_numbers)}", **fields)  # type: ignore[arg-type]


def make_recording(
    by: User,
    party: Party,
    *,
    title: str = "",
    confirmed: bool = True,
    file: io.BytesIO | None = None,
) -> Recording:
    """A recording wholly the party's own: work, master, main artist and composer credits."""
    number = next(_numbers)
    title = title or f"Song {number}"
    work = catalogue.add_work(by=by, title=title)
    recording = catalogue.add_recording(
        by=by,
        # Each file has its own pitch: the same bytes twice would be refused as a duplicate.
        file=file or tone(seconds=1.0, frequency=200 + number * 0.37),
        filename=f"song-{number}.flac",
        title=title,
        isrc=f"QZABC26{number:05d}",
        works=[work],
        tags={"genre": "techno" if number % 2 else "ambient", "tempo": 120},
    )
    catalogue.add_credit(by=by, party=party, role=Credit.RoleCode.MAIN_ARTIST, subject=recording)
    catalogue.add_credit(by=by, party=party, role=Credit.RoleCode.COMPOSER, subject=work)
    for subject in (work, recording):
        sheet = splits.propose(by=by, subject=subject, lines={party: 1_000_000})
        if confirmed:
            splits.confirm(sheet=sheet, party=party, by=by)
    return recording


def second_admin() -> User:
    """Who drafts a grant does not approve it."""
    return User.objects.get_or_create(
        username="ivo", defaults={"first_name": "Ivo", "roles": [Role.RIGHTS_ADMIN.value]}
    )[0]


def opens(response: HttpResponseBase) -> bool:
    """Whether the page is there: as it is, or for a rightsholder as one of their own."""
    return response.status_code == 200 or (
        response.status_code == 302 and response.headers["Location"].startswith("/rights/mine/")
    )


def allow(
    by: User,
    party: Party,
    *uses: Use,
    recording: Recording | None = None,
    rights: tuple[RightType, ...] = (RightType.COMPOSITION, RightType.MASTER),
    **scope: object,
) -> list[Grant]:
    """Active grants for the uses, for the whole catalogue or one recording."""
    agreement = agreements.sign(
        by=by, counterparty=party, title=f"Agreement with {party}", signed_on=date(2026, 1, 1)
    )
    return [
        lifecycle.activate(
            agreements.draft_grant(
                by=by,
                agreement=agreement,
                right_type=right,
                use=use,
                recording=recording,
                **({"purposes": [Purpose.RESEARCH]} | scope),  # type: ignore[arg-type]
            ),
            second_admin(),
        )
        for use in uses
        for right in rights
    ]


def make_allowed(
    by: User, count: int = 2, use: Use = Use.TRAIN_GENERATIVE, party: Party | None = None
) -> list[Recording]:
    """Recordings of one artist, allowed everywhere for research: eval, training, and `use`."""
    party = party or make_party(by)
    made = [make_recording(by, party) for _ in range(count)]
    allow(by, party, *dict.fromkeys([Use.EVAL, Use.TRAIN_ANALYSIS, Use.TRAIN_GENERATIVE, use]))
    return made
