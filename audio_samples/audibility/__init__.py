"""Who may hear a sample, and why not."""
