"""Models taken back from the public are taken back again after a restore (portal/endings)."""

from experiments.publishing import pages
from experiments.publishing.models import ModelPage
from portal.endings import Answer, Ending, Said, declare
from portal.models import User
from rights.endings import about, already, done


@about(ModelPage)
def _withdraw(page: ModelPage, said: Said, by: User) -> Answer:  # noqa: ARG001
    if page.withdrawn_at is not None:
        return already(f"{page} is withdrawn.")
    pages.withdraw(by=by, page=page)
    return done(f"Withdrew the published model {page}.")


declare(Ending("model.withdrawn", _withdraw))
