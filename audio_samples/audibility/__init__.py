"""Who may hear a sample: flags of rightsholders, and those who judge."""
