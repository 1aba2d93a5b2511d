"""The portal's own Celery tasks: short, and idempotent."""

from celery import shared_task

from portal import audit


@shared_task(name="portal.sign_audit_root")
def sign_audit_root() -> None:
    """Sign the audit log if a root is due. Two at once sign one root; a missed call delays it."""
    audit.sign_due()
