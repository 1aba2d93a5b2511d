"""Short, idempotent Celery tasks."""
