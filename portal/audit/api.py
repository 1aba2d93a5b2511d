"""The audit log over HTTP: keys and roots for everybody who is signed in, proofs for those who
may see the log.

Whoever keeps a root can have it shown, later and without trust in the portal, that the log only
grew since.
"""

from typing import cast

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema
from ninja.errors import HttpError

from portal.audit import proofs, roots
from portal.inputs.schemas import Limit, Offset, PathNumber, RowNumber
from portal.models import ApiToken, AuditEvent, LogRoot, Role, User

router = Router(tags=["audit"])


class KeyBody(Schema):
    id: str
    public_key: str
    in_use: bool


class RootPage(Schema):
    count: int
    items: list[proofs.SignedRoot]


@router.get("/audit/keys", response=list[KeyBody])
def audit_keys(request: HttpRequest) -> list[KeyBody]:
    """The public Ed25519 keys that roots are signed with, 32 bytes in hexadecimal digits."""
    _person(request)
    current = roots.public_key()
    return [
        KeyBody(id=name, public_key=key, in_use=key == current)
        for name, key in roots.trusted_keys().items()
    ]


@router.get("/audit/roots", response=RootPage)
def audit_roots(request: HttpRequest, limit: Limit = 20, offset: Offset = 0) -> RootPage:
    """Signed roots, newest first. Keep one elsewhere: it holds the portal to its log."""
    _person(request)
    newest = LogRoot.objects.order_by("-size")
    page = [proofs.SignedRoot.of(root) for root in newest[offset : offset + limit]]
    return RootPage(count=newest.count(), items=page)


@router.get("/audit/{int:seq}/proof", response=proofs.Proof)
def audit_proof(request: HttpRequest, seq: PathNumber) -> proofs.Proof:
    """That this line is under the newest signed root. Private values stay in the portal."""
    visible = AuditEvent.objects.visible_to(_person(request))
    event = get_object_or_404(visible, seq=seq)
    try:
        return proofs.prove(event)
    except (proofs.NotSigned, roots.Broken) as error:
        raise HttpError(409, str(error)) from error


@router.get("/audit/growth", response=proofs.Growth)
def audit_growth(
    request: HttpRequest, old: RowNumber, new: RowNumber | None = None
) -> proofs.Growth:
    """That the log of one signed root begins with that of an earlier one; named by their sizes."""
    # It reads every line's hash, so it is for the few who look after the log.
    if not _person(request).has_role(Role.RIGHTS_ADMIN, Role.OPERATOR):
        raise HttpError(404, "Not Found")
    first = get_object_or_404(LogRoot, size=old)
    newest = LogRoot.objects.order_by("-size").first() if new is None else None
    last = newest or get_object_or_404(LogRoot, size=new)
    if first.size > last.size:
        raise HttpError(422, "The old root has more lines than the new one.")
    try:
        return proofs.prove_growth(first, last)
    except roots.Broken as error:
        raise HttpError(409, str(error)) from error


def _person(request: HttpRequest) -> User:
    """The person who calls; 403 for the token of a run, which speaks for that run only."""
    auth = cast("ApiToken | User", request.auth)  # type: ignore[attr-defined]
    if isinstance(auth, User):
        return auth
    if auth.scope != "api":
        raise HttpError(403, "This token is good for its own run only.")
    return auth.user
