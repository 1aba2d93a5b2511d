"""Builds the demo world step by step and reports each step."""

import datetime as dt
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import soundfile
from django.conf import settings
from django.db import transaction

from experiments.models import Membership, Project
from experiments.runs import datasets
from portal.models import Role, User
from rights.catalogue import catalogue
from rights.grants import agreements, lifecycle
from rights.models import Grant, Party, Purpose, Recording, RightType, Use
from rights.parties import parties, splits
from workers.data import synth
from workers.demo import DATASET, PASSWORD, PROJECT, night_shift, night_shift_project
from workers.demo.catalogue import (
    ALBUMS,
    DISPUTED,
    HOLDERS,
    JUNIPER,
    KESSLER,
    LOW_TIDE,
    NORTHLIGHT,
    OPTED_OUT,
    SIGNED_FOR,
    TOMAS,
    UNANSWERED,
    VERSIONS,
    Album,
)

Tell = Callable[[str], None]
OWN_RIGHTS = (RightType.COMPOSITION, RightType.MASTER)


@dataclass(frozen=True)
class Login:
    username: str
    name: str
    roles: tuple[Role, ...]


LOGINS = (
    Login("researcher", "Ada Okafor", (Role.RESEARCHER,)),
    Login("listener", "Lou Marchetti", (Role.LISTENER,)),
    Login("rights", "Rosa Lindqvist", (Role.RIGHTS_ADMIN,)),
    # Whoever drafts a grant does not approve it: a lab needs two people.
    Login("counsel", "Ivo Brandt", (Role.RIGHTS_ADMIN,)),
    Login("artist", "Mira Solberg", (Role.RIGHTSHOLDER,)),
    Login("operator", "Olga Petrov", (Role.OPERATOR,)),
)


def needed() -> bool:
    """Whether the database has no people: the demo never touches a lab's own data."""
    return not User.objects.exists()


def build(*, tell: Tell) -> None:
    """Make the whole world or, if a step fails, none of it."""
    # The slow part first, outside the transaction: on SQLite nobody else can write during one.
    files = store_all(synthesise_all(tell=tell))
    with transaction.atomic():
        people = make_people(tell=tell)
        rosa, ada = people["rights"], people["researcher"]
        project = make_project(owner=ada, tell=tell)
        holders = make_parties(by=rosa, artist=people["artist"], tell=tell)
        recordings = record_all(by=rosa, holders=holders, files=files, tell=tell)
        sign_for_each_other(by=rosa, approver=people["counsel"], holders=holders, tell=tell)
        sign_all(
            by=rosa,
            approver=people["counsel"],
            holders=holders,
            recordings=recordings,
            tell=tell,
        )
        dataset = datasets.freeze(
            by=ada,
            project=project,
            name=DATASET,
            recordings=Recording.objects.all(),
            use=Use.TRAIN_GENERATIVE,
        )
        if settings.DEMO_RUNS:
            night_shift_project.begin(researcher=ada, listener=people["listener"])
            tell(f"Made the project “{night_shift.NAME}”: {night_shift.RUNS} short runs follow")
    included = dataset.items.filter(included=True).count()
    left_out = dataset.items.filter(included=False).count()
    tell(f"Froze the dataset “{DATASET}”: {included} recordings in, {left_out} left out")


def make_people(*, tell: Tell) -> dict[str, User]:
    people: dict[str, User] = {}
    for login in LOGINS:
        first, _, last = login.name.partition(" ")
        people[login.username] = User.objects.create_user(
            username=login.username,
            password=PASSWORD,
            first_name=first,
            last_name=last,
            email=f"{login.username}@lab.example",
            roles=[role.value for role in login.roles],
        )
    tell(f"Made {len(people)} people, one for each role and a second for rights")
    return people


def make_project(*, owner: User, tell: Tell) -> Project:
    project = Project.objects.create(
        slug=PROJECT,
        name="First light",
        description="A small flow-matching model, trained on what the demo catalogue allows.",
        purpose=Purpose.RESEARCH,
        territory="world",
        model_family="first-light",
    )
    Membership.objects.create(project=project, user=owner, level=Membership.Level.OWNER)
    tell(f"Made the project “{project.name}”")
    return project


def make_parties(*, by: User, artist: User, tell: Tell) -> dict[str, Party]:
    holders = {
        holder.name: parties.add_party(
            by=by,
            kind=holder.kind,
            name=holder.name,
            identifiers={"ipi_name": holder.ipi_name},
        )
        for holder in HOLDERS
    }
    holders[artist.display_name].people.add(artist)
    tell(f"Registered {len(holders)} rightsholders")
    return holders


def synthesise_all(*, tell: Tell) -> dict[str, tuple[synth.Track, bytes]]:
    """Synthesise every recording's music and encode it as FLAC."""
    files: dict[str, tuple[synth.Track, bytes]] = {}
    total = sum(len(album.titles) for album in ALBUMS)
    for album in ALBUMS:
        for title in album.titles:
            number = len(files) + 1
            track = synth.synthesise(genre=album.genre, seed=number, seconds=16 + number % 7)
            file = io.BytesIO()
            soundfile.write(file, track.audio.T, 44_100, format="FLAC")
            files[title] = (track, file.getvalue())
        tell(f"Played {len(files)} of {total} recordings: {album.artist}, {album.genre}")
    return files


def store_all(
    files: dict[str, tuple[synth.Track, bytes]],
) -> dict[str, tuple[synth.Track, catalogue.Stored]]:
    """Decode, measure and store every file; no recording refers to it yet."""
    return {
        title: (
            track,
            catalogue.store_audio(
                file=io.BytesIO(file),
                filename=re.sub(r"\W+", "-", title).strip("-").lower() + ".flac",
                title=title,
            ),
        )
        for title, (track, file) in files.items()
    }


def record_all(
    *,
    by: User,
    holders: dict[str, Party],
    files: dict[str, tuple[synth.Track, catalogue.Stored]],
    tell: Tell,
) -> dict[str, Recording]:
    """Upload, credit and split every recording of the catalogue."""
    recordings: dict[str, Recording] = {}
    for album in ALBUMS:
        for title in album.titles:
            track, stored = files[title]
            recording = upload(
                by=by, title=title, number=len(recordings) + 1, track=track, stored=stored
            )
            credit_and_split(by=by, recording=recording, album=album, holders=holders)
            recordings[title] = recording
    tell(f"Uploaded {len(recordings)} recordings with credits and splits")
    return recordings


def upload(
    *, by: User, title: str, number: int, track: synth.Track, stored: catalogue.Stored
) -> Recording:
    work = catalogue.add_work(by=by, title=title, iswc=iswc(number))
    return catalogue.enter_recording(
        by=by,
        stored=stored,
        title=title,
        isrc=f"QZBLD26{number:05d}",
        works=[work],
        tags={"genre": track.genre, "tempo": round(track.tempo), "key": track.key},
    )


def credit_and_split(
    *, by: User, recording: Recording, album: Album, holders: dict[str, Party]
) -> None:
    title, work = recording.title, recording.works.get()
    artist = holders[album.artist]
    catalogue.add_credit(by=by, subject=recording, party=artist, role="MainArtist")
    for name, role, instrument in album.roles:
        catalogue.add_credit(
            by=by, subject=recording, party=holders[name], role=role, instrument=instrument
        )
    composition = dict(album.composition)
    master = dict(album.master)
    if title == UNANSWERED:
        composition = {TOMAS: 500_000, JUNIPER: 500_000}
    if title == DISPUTED:
        master = {KESSLER: 500_000, JUNIPER: 500_000}
    for name in composition:
        if name == album.artist or name in {TOMAS, JUNIPER}:
            catalogue.add_credit(by=by, subject=work, party=holders[name], role="Composer")
    for subject, lines in ((work, composition), (recording, master)):
        sheet = splits.propose(
            by=by, subject=subject, lines={holders[name]: ppm for name, ppm in lines.items()}
        )
        for name in lines:
            if name == JUNIPER and title == UNANSWERED:
                continue
            if name == JUNIPER and title == DISPUTED:
                splits.dispute(
                    sheet=sheet, party=holders[name], by=by, reason="Claims the whole master."
                )
                continue
            splits.confirm(sheet=sheet, party=holders[name], by=by)


def iswc(number: int) -> str:
    """A valid ISWC: T, nine digits, and the check digit of ISO 15707."""
    digits = f"{300_000_000 + number:09d}"
    total = 1 + sum(weight * int(digit) for weight, digit in enumerate(digits, start=1))
    return f"T{digits}{(10 - total % 10) % 10}"


def sign_for_each_other(*, by: User, approver: User, holders: dict[str, Party], tell: Tell) -> None:
    """Approve the mandates of publishers that sign for others' compositions."""
    for holder, agent in SIGNED_FOR.items():
        mandate = parties.enter_mandate(
            by=by,
            holder=holders[holder],
            agent=holders[agent],
            right_types=[RightType.COMPOSITION],
        )
        parties.approve_mandate(mandate, approver)
        tell(f"{agent} signs for the compositions of {holder}")


def sign_all(
    *,
    by: User,
    approver: User,
    holders: dict[str, Party],
    recordings: dict[str, Recording],
    tell: Tell,
) -> None:
    """Sign each holder's agreement, then enter the opt-outs and withdrawals."""
    everything = (Use.EVAL, Use.TRAIN_ANALYSIS, Use.TRAIN_GENERATIVE)
    for name, party in holders.items():
        uses = (Use.EVAL,) if name == LOW_TIDE else everything
        grant_uses(
            by=by,
            approver=approver,
            party=party,
            uses=uses,
            # A holder whose compositions another signs for grants the master only.
            rights=(RightType.MASTER,) if name in SIGNED_FOR else OWN_RIGHTS,
            last_version=VERSIONS.get(name),
        )
    tell(
        f"Signed {len(holders)} agreements: {LOW_TIDE} for evaluation only, the others for training"
    )

    for title in OPTED_OUT:
        lifecycle.opt_out(
            recording=recordings[title],
            use=Use.TRAIN_GENERATIVE,
            party=holders[NORTHLIGHT],
            by=by,
            reason="Live recordings stay out of training.",
        )
    tell(f"{NORTHLIGHT} opted {len(OPTED_OUT)} live recordings out of generative training")

    for grant in Grant.objects.filter(
        grantor=holders[JUNIPER], use=Use.TRAIN_GENERATIVE, status=Grant.Status.ACTIVE
    ):
        lifecycle.withdraw(grant=grant, by=by, reason="Changed their mind about generative models.")
    tell(f"{JUNIPER} withdrew from generative training")


def grant_uses(
    *,
    by: User,
    approver: User,
    party: Party,
    uses: tuple[Use, ...],
    rights: tuple[RightType, ...],
    last_version: int | None,
) -> None:
    today = dt.datetime.now(tz=dt.UTC).date()
    agreement = agreements.sign(
        by=by,
        counterparty=party,
        title=f"Participation agreement with {party.name}",
        signed_on=today,
        terms="A fixed yearly fee and a share by training use; credited on every sample.",
    )
    for use in uses:
        for right in rights:
            grant = agreements.draft_grant(
                by=by,
                agreement=agreement,
                right_type=right,
                use=use,
                purposes=[Purpose.RESEARCH, Purpose.INTERNAL],
                territories=["world"],
                last_version=last_version if use == Use.TRAIN_GENERATIVE else None,
                starts_on=today,
            )
            lifecycle.activate(grant=grant, by=approver)
