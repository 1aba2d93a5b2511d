"""Who is in the demo world and what they made. All fictional; all music is synthesised."""

from dataclasses import dataclass, field

from rights.models import Party, RoleCode

ROLE = RoleCode
KIND = Party.Kind


@dataclass(frozen=True)
class Holder:
    kind: Party.Kind
    name: str
    ipi_name: str = ""


@dataclass(frozen=True)
class Album:
    """Recordings of one artist in one genre, with the holders' shares (parts per million)."""

    artist: str
    genre: str
    titles: tuple[str, ...]
    composition: dict[str, int]
    master: dict[str, int]
    roles: tuple[tuple[str, RoleCode, str], ...] = field(default=())


MIRA, KESSLER, TOMAS, PIXEL = "Mira Solberg", "Kessler & Vane", "Tomás Aranda", "Pixel Orchard"
LOW_TIDE, JUNIPER = "Low Tide Assembly", "Juniper Blaise"
NORTHLIGHT, LANTERN = "Northlight Records", "Paper Lantern Publishing"

HOLDERS = (
    Holder(KIND.PERSON, MIRA, "00000000199"),
    Holder(KIND.GROUP, KESSLER),
    Holder(KIND.PERSON, TOMAS, "00000000297"),
    Holder(KIND.GROUP, PIXEL),
    Holder(KIND.GROUP, LOW_TIDE),
    Holder(KIND.PERSON, JUNIPER),
    Holder(KIND.LABEL, NORTHLIGHT),
    Holder(KIND.PUBLISHER, LANTERN),
)

WHOLE = 1_000_000

ALBUMS = (
    Album(
        MIRA,
        "ambient",
        (
            "Fjord Light",
            "Slow Ferry",
            "Glasshouse",
            "Winter Harbour",
            "Lichen",
            "Half Tide",
            "Drift Ice",
            "Skerries",
            "Northern Window",
            "Evening Mail",
        ),
        {MIRA: 600_000, LANTERN: 400_000},
        {NORTHLIGHT: WHOLE},
        ((MIRA, ROLE.PRODUCER, ""), (MIRA, ROLE.STUDIO_MUSICIAN, "synthesiser")),
    ),
    Album(
        KESSLER,
        "techno",
        (
            "Platform Four",
            "Relay",
            "Concrete Garden",
            "Night Bus",
            "Turnstile",
            "Signal Box",
            "Copper Wire",
            "Overpass",
            "Grid North",
            "Last Platform",
        ),
        {KESSLER: WHOLE},
        {KESSLER: WHOLE},
        ((KESSLER, ROLE.PRODUCER, ""), (KESSLER, ROLE.MIXER, "")),
    ),
    Album(
        TOMAS,
        "waltz",
        (
            "Vals de la Tarde",
            "Three Chairs",
            "The Clockmaker",
            "Paper Boats",
            "Azulejo",
            "Orchard Waltz",
            "Candle Street",
            "A Small Room",
            "Vals Pequeño",
            "Winter Guests",
        ),
        {TOMAS: WHOLE},
        {NORTHLIGHT: 500_000, TOMAS: 500_000},
        ((TOMAS, ROLE.STUDIO_MUSICIAN, "piano"),),
    ),
    Album(
        PIXEL,
        "chip",
        (
            "Coin Return",
            "Level Select",
            "Sprite Parade",
            "Cartridge",
            "Blue Potion",
            "Save Point",
            "Warp Zone",
            "Tiny Castle",
            "Continue?",
            "High Score",
        ),
        {PIXEL: 700_000, LANTERN: 300_000},
        {PIXEL: WHOLE},
        ((PIXEL, ROLE.PRODUCER, ""), (PIXEL, ROLE.ARRANGER, "")),
    ),
    Album(
        LOW_TIDE,
        "ambient",
        ("Mud Flats", "Estuary", "Salt Path"),
        {LOW_TIDE: WHOLE},
        {LOW_TIDE: WHOLE},
    ),
    Album(
        JUNIPER,
        "chip",
        ("Bramble Run", "Moss Machine", "Hedgehog"),
        {JUNIPER: WHOLE},
        {JUNIPER: WHOLE},
    ),
    Album(
        MIRA,
        "ambient",
        ("Fjord Light (Live)", "Skerries (Live)"),
        {MIRA: 600_000, LANTERN: 400_000},
        {NORTHLIGHT: WHOLE},
    ),
)

# Kessler & Vane and Juniper Blaise both claim its master; the split is in dispute.
DISPUTED = "Last Platform"
# Written with Juniper Blaise, who never confirmed the split.
UNANSWERED = "Winter Guests"
# Holders whose compositions a publisher signs for: holder to agent.
SIGNED_FOR = {PIXEL: LANTERN}
# Holders that allow generative training only up to a model version.
VERSIONS = {KESSLER: 2}
# The label opted these two live recordings out of generative training.
OPTED_OUT = ("Fjord Light (Live)", "Skerries (Live)")
