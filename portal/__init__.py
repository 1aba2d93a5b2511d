"""The shell: settings, users and roles, tokens, storage, the audit chain."""
