"""A project's alerts, the rules that raise them, and its webhooks."""
