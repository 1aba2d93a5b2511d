"""What a project is for: the scope in which it asks for consent."""

from django.db import transaction

from experiments.clearance.permission import NotPermitted
from experiments.models import Membership, Project
from portal import audit
from portal.models import User

LAST_VERSION = 10_000


class BadScope(ValueError):
    """An invalid scope; `field` names what is wrong."""

    code = "bad_scope"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def may_change(by: User, project: Project) -> bool:
    """Whether this person may set the project's scope, as its owner."""
    owner = Membership.Level.OWNER
    return project.memberships.filter(user=by, level=owner).exists()


def rescope(*, by: User, project: Project, model_version: int, product: str) -> Project:
    """Set the model version that the project works on, and the product it is for.

    Permissions may be for certain versions and products only. What was frozen or made before
    keeps its decision; every run that starts from now on asks in the new scope.
    Raises NotPermitted unless `by` owns the project, BadScope for values out of bounds.
    """
    if not may_change(by, project):
        raise NotPermitted(f"Only an owner of {project.name} sets what it is for.")
    product = product.strip()
    if not 1 <= model_version <= LAST_VERSION:
        raise BadScope("model_version", f"A version lies between 1 and {LAST_VERSION:,}.")
    if len(product) > 100:
        raise BadScope("product", "A product's name has at most 100 characters.")
    with transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        was = {"model_version": project.model_version, "product": project.product}
        now = {"model_version": model_version, "product": product}
        if was != now:
            project.model_version, project.product = model_version, product
            project.save(update_fields=list(now))
            audit.record(by=by, verb="project.scope", subject=project, was=was, now=now)
    return project
