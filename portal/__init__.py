"""The base of the portal: settings, users and roles, tokens, storage, the audit chain."""
