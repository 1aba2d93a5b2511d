"""A person's own inbox, what happened while they were away, and how they want to be told."""
