"""The audit log over HTTP: keys and roots for everybody who is signed in, proofs for those who
may see the log.

Whoever stores a root elsewhere can later have a proof, without trusting the portal, that the log
only grew since.
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
        KeyBody(id=key_id, public_key=key, in_use=key == current)
        for key_id, key in roots.trusted_keys().items()
    ]


@router.get("/audit/roots", response=RootPage)
def audit_roots(request: HttpRequest, limit: Limit = 20, offset: Offset = 0) -> RootPage:
    """Signed roots, newest first. Keep one elsewhere: a log changed since does not match it."""
    _person(request)
    newest = LogRoot.objects.order_by("-size")
    page = [proofs.SignedRoot.of(root) for root in newest[offset : offset + limit]]
    return RootPage(count=newest.count(), items=page)


@router.get("/audit/{int:seq}/proof", response=proofs.Proof)
def audit_proof(request: HttpRequest, seq: PathNumber) -> proofs.Proof:
    """A proof that this line is under the newest signed root. It contains no private values."""
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
    """A proof that the log only grew between two signed roots, which are named by their sizes."""
    # This reads every line's hash, so only those who look after the log may ask for it.
    if not _person(request).has_role(Role.RIGHTS_ADMIN, Role.OPERATOR):
        raise HttpError(404, "Not Found")
    old_root = get_object_or_404(LogRoot, size=old)
    newest = LogRoot.objects.order_by("-size").first() if new is None else None
    new_root = newest or get_object_or_404(LogRoot, size=new)
    if old_root.size > new_root.size:
        raise HttpError(422, "The old root has more lines than the new one.")
    try:
        return proofs.prove_growth(old_root, new_root)
    except roots.Broken as error:
        raise HttpError(409, str(error)) from error


def _person(request: HttpRequest) -> User:
    """Return the caller; 403 for the token of a run, which is good for that run only."""
    auth = cast("ApiToken | User", request.auth)  # type: ignore[attr-defined]
    if isinstance(auth, User):
        return auth
    if auth.scope != "api":
        raise HttpError(403, "This token is good for its own run only.")
    return auth.user
