"""The docs cannot lie: what exists is named there, and what they link to exists."""

import ast
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from portal.celery import app
from portal.management.commands.addresses import every_address

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OURS = {"audio", "portal", "rights", "experiments", "audio_samples", "listening", "workers"}
FOLDERS = (DOCS, ROOT / "requirements", ROOT / "benchmarks", ROOT / "k8s")
PAGES = sorted([ROOT / "README.md", *(page for folder in FOLDERS for page in folder.rglob("*.md"))])


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def variables() -> list[str]:
    """Names of the environment variables that portal/settings.py reads."""
    tree = ast.parse((ROOT / "portal/settings.py").read_text(encoding="utf-8"))
    return sorted(
        {
            call.args[0].value
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and re.fullmatch(r"env(_[a-z]+)?", call.func.id)
            and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)
        }
    )


@pytest.mark.parametrize("name", variables())
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in read("settings.md")


def test_no_setting_is_documented_that_does_not_exist() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", read("settings.md"), re.MULTILINE))
    assert documented == set(variables())


def test_every_address_is_documented() -> None:
    known = set(re.findall(r"^\| `([\w:-]+)` \|", read("urls.md"), re.MULTILINE))
    missing = {address.name for address in every_address()} - known
    assert not missing, "Run: manage.py addresses > docs/urls.md"


def test_every_task_is_documented() -> None:
    app.loader.import_default_modules()
    tasks = [name for name in app.tasks if not name.startswith("celery.")]
    assert [name for name in tasks if f"`{name}`" not in read("operations.md")] == []


def test_every_command_is_documented() -> None:
    ours = [name for name, where in get_commands().items() if where in OURS]
    assert [name for name in ours if f"manage.py {name}" not in read("operations.md")] == []


def terms() -> list[tuple[str, str]]:
    """The glossary's terms, each with the file that it names."""
    rows = re.findall(
        r"^\| ([a-z][\w -]+) \|.*\| `([\w/.]+)` \|$", read("glossary.md"), re.MULTILINE
    )
    return [(term, file) for term, file in rows if term != "term"]


def test_the_glossary_has_a_page_of_terms() -> None:
    assert 15 <= len(terms()) <= 30


@pytest.mark.parametrize(("term", "file"), terms())
def test_a_term_of_the_glossary_is_used_where_it_says(term: str, file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8").lower()
    words = re.split(r"[ -]", term.rstrip("s"))
    assert re.search(r"[\W_]*".join(map(re.escape, words)), text), f"No {term} in {file}."


def test_the_walks_of_the_architecture_name_files_and_at_most_twelve_each() -> None:
    part = read("architecture.md").partition("Three walks through it:")[2].partition("\n## ")[0]
    walks = [re.findall(r"`([\w/]+\.(?:py|js))`", walk) for walk in part.split("\n- ")[1:]]
    assert [name for walk in walks for name in walk if not (ROOT / name).exists()] == []
    assert len(walks) == 3
    assert all(len(walk) <= 12 for walk in walks)


def test_every_dependency_is_defended() -> None:
    decisions = read("decisions.md")
    lists = [*(ROOT / "requirements").glob("*.in"), *(ROOT / "requirements").glob("torch*.txt")]
    names = {
        match.group(0)
        for file in lists
        for line in file.read_text(encoding="utf-8").splitlines()
        if (match := re.match(r"[A-Za-z][\w.-]*", line))
    }
    assert sorted(name for name in names if f"`{name}`" not in decisions) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    dead = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.split("#")[0]).exists()
    ]
    assert dead == []
