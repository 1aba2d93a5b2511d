"""A portal whose table of uses has one more row: what tests/rights/test_uses.py asks of it.

As a plugin of pytest (`-p`) it puts that table in place before anything reads it.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

import backline

ROW = """
    CHOIR_DOUBLE = (
        "choir.double",
        "Doubling of choirs",
        UseFacts(
            meaning="Models may sing along with the remixer.",
            asks=frozenset({"MainArtist", "Remixer"}),
            makes_model=True,
            starts=frozenset({"choir.double"}),
            follows_model=True,
        ),
    )
"""


def _install() -> None:
    path = Path(backline.__file__).with_name("uses.py")
    text = path.read_text(encoding="utf-8")
    rows, rest = text.split("\n\n\ndef use_named(")
    spec = importlib.util.spec_from_file_location("backline.uses", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["backline.uses"] = module
    source = f"{rows}{ROW}\n\ndef use_named({rest}"
    exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - our own file, and a row
    backline.uses = module  # type: ignore[attr-defined]


if "backline.uses" not in sys.modules:
    _install()

NAME = "choir.double"


@pytest.mark.django_db
def test_no_column_is_migrated_for_it() -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_recipes_runs_and_models_know_it() -> None:
    from experiments import recipes
    from experiments.clearance import clearance
    from experiments.models import declared_uses

    program = recipes.RECIPES["program"]
    assert NAME in program.uses
    assert recipes.validate("program", {"command": "true", "image": "a/b:1", "use": NAME})
    assert NAME in clearance.FOLLOWING
    assert declared_uses.makes_models(NAME)
    assert declared_uses.may_start_from(NAME, NAME)
    assert not declared_uses.may_start_from(NAME, "train.generative")


def test_a_file_refuses_it_by_a_key_of_its_own_and_by_what_is_unknown() -> None:
    import json

    from rights.tdm import reservations

    def denied(key: str) -> set[str]:
        said = json.dumps({"entries": {key: {"use": "notAllowed"}}}).encode()
        return {use for one in reservations.read_assertion(said) for use in one.denied}

    assert denied(f"backline.{NAME}") == {NAME}
    assert NAME in denied("cawg.something_new")
    assert NAME not in denied("cawg.ai_training")


@pytest.fixture
def song(rosa, noor):  # type: ignore[no-untyped-def]
    from rights.catalogue import catalogue
    from rights.models import RoleCode
    from tests.catalogue import make_party, make_recording

    artist = make_party(rosa, "Ines Faro", people=[noor])
    remixer = make_party(rosa, "Tomas Lind")
    made = make_recording(rosa, artist)
    catalogue.add_credit(by=rosa, subject=made, party=remixer, role=RoleCode.REMIXER)
    return made, artist, remixer


@pytest.mark.django_db
def test_it_is_denied_until_everybody_whom_its_row_names_agrees(rosa, song) -> None:  # type: ignore[no-untyped-def]
    from rights.consent import consent
    from rights.models import Purpose, RightType, Use
    from tests.catalogue import allow

    recording, artist, remixer = song
    use = Use(NAME)

    def allowed() -> bool:
        here = consent.Context(Purpose.RESEARCH, "world", "backline")
        return consent.evaluate([recording], use, here)[recording.pk].allowed

    assert not allowed()
    allow(rosa, artist, use, rights=tuple(RightType))
    assert not allowed()
    allow(rosa, remixer, use, rights=(RightType.PERSONA,))
    assert allowed()


@pytest.mark.django_db
def test_pages_name_it(client, rosa, ada, noor, song) -> None:  # type: ignore[no-untyped-def]
    def page(path: str) -> str:
        answer = client.get(path)
        assert answer.status_code == 200, path
        return answer.content.decode()

    client.force_login(rosa)
    assert "Doubling of choirs" in page("/rights/grants/")
    assert "Doubling of choirs" in page("/rights/decisions/")
    client.force_login(noor)
    mine = page("/rights/mine/uses/")
    assert "Doubling of choirs" in mine
    assert "Models may sing along with the remixer." in mine
