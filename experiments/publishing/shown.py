"""Everything that a model's page and its summary are made of, read at one moment."""

from dataclasses import dataclass, replace

from experiments.publishing import learned, papers, standing, texts
from experiments.publishing.kept import kept
from experiments.publishing.learned import Learned
from experiments.publishing.models import ModelPage, ModelPageText
from experiments.publishing.papers import Papers
from experiments.publishing.standing import Link, Standing

PAGES = ModelPage.objects.select_related(
    "project", "run__dataset", "run__decision", "run__project", "checkpoint"
)


@dataclass(frozen=True)
class Shown:
    page: ModelPage
    text: ModelPageText
    line: list[Link]
    standing: Standing
    learned: Learned
    papers: Papers

    @property
    def title(self) -> str:
        return self.learned.veil.over(self.page.title)

    @property
    def version(self) -> str:
        return self.learned.veil.over(self.page.version)

    @property
    def said(self) -> dict[str, str]:
        """The free texts by key, without names that are not to be shown."""
        return {
            key: self.learned.veil.over(words) for key, words in texts.said(self.text.parts).items()
        }


def look(page: ModelPage, text: ModelPageText) -> Shown:
    """As things stand now."""
    line = standing.line_of_page(page)
    now = standing.of([page])[page.pk]
    music, signed = kept(page.pk, line, now, lambda: _read(line, now))
    return Shown(page, text, line, now, music, signed)


def _read(line: list[Link], now: Standing) -> tuple[Learned, Papers]:
    music = learned.of(line, now)
    signed = papers.of(line, music.used)
    # Every recording by itself: the page does not list them.
    return replace(music, used={}), signed
