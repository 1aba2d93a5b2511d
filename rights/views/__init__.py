"""The pages of rights, grouped by subject."""
