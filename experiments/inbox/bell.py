"""The number beside “Inbox” on every page: the portal's frame asks for it."""

from experiments.inbox import notices
from portal.http import bell

bell.register(notices.unread_count)
