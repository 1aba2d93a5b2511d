"""The API of listening tests; answers come from the listeners' pages, so there is none yet."""

from ninja import Router

router = Router(tags=["listening"])
