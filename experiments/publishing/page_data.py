"""Everything that a model's page and its summary are made of, read at one moment."""

from dataclasses import dataclass, replace

from experiments.models.ancestry import Link
from experiments.models.publishing import ModelPage, ModelPageText
from experiments.publishing import agreements, texts, training_credits, withdrawals
from experiments.publishing.agreements import AgreementsSummary
from experiments.publishing.page_cache import cached
from experiments.publishing.training_credits import TrainingCredits
from experiments.publishing.withdrawals import PageStatus

PAGES = ModelPage.objects.select_related(
    "project", "run__dataset", "run__decision", "run__project", "checkpoint"
)


@dataclass(frozen=True)
class PageData:
    page: ModelPage
    text: ModelPageText
    line: list[Link]
    standing: PageStatus
    learned: TrainingCredits
    papers: AgreementsSummary

    @property
    def title(self) -> str:
        return self.learned.veil.redact(self.page.title)

    @property
    def version(self) -> str:
        return self.learned.veil.redact(self.page.version)

    @property
    def said(self) -> dict[str, str]:
        """The free texts by key, without the names that are not to be shown."""
        return {
            key: self.learned.veil.redact(text)
            for key, text in texts.texts_by_key(self.text.parts).items()
        }


def load_page_data(page: ModelPage, text: ModelPageText) -> PageData:
    """Load what the page shows now."""
    line = withdrawals.line_of_page(page)
    status = withdrawals.statuses_of([page])[page.pk]
    learned, signed = cached(page.pk, line, status, lambda: _read(line, status))
    return PageData(page, text, line, status, learned, signed)


def _read(line: list[Link], status: PageStatus) -> tuple[TrainingCredits, AgreementsSummary]:
    learned = training_credits.load_credits(line, status)
    signed = agreements.agreements_behind(line, learned.used)
    # `used` has every single recording: the page does not list them.
    return replace(learned, used={}), signed
