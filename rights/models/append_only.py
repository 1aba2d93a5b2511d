"""Rows that are written once: decisions, the ledger, answers on splits."""

from typing import Any, TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model)


class Immutable(RuntimeError):
    """A row that is written once was about to be changed or deleted."""


class AppendOnlyQuerySet(models.QuerySet[M]):
    def update(self, **kwargs: Any) -> int:  # noqa: ARG002
        raise Immutable(f"A {self.model._meta.verbose_name} is never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Immutable(f"A {self.model._meta.verbose_name} is never deleted.")


class AppendOnly(models.Model):
    """A row that is written once."""

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable(f"A {self._meta.verbose_name} is never changed.")
        super().save(**kwargs)

    def delete(
        self,
        using: Any = None,  # noqa: ARG002
        keep_parents: bool = False,  # noqa: ARG002
    ) -> tuple[int, dict[str, int]]:
        raise Immutable(f"A {self._meta.verbose_name} is never deleted.")
