"""Withdraw models again after a restore that were withdrawn before it (portal/endings)."""

from experiments.models.publishing import ModelPage
from experiments.publishing import pages
from portal.endings import Answer, Ending, JournalEntry, declare
from portal.models import User
from rights.journal_replay import about, already, done


@about(ModelPage)
def _withdraw(page: ModelPage, entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001
    if page.withdrawn_at is not None:
        return already(f"{page} is withdrawn.")
    pages.withdraw(by=by, page=page)
    return done(f"Withdrew the published model {page}.")


declare(Ending("model.withdrawn", _withdraw))
