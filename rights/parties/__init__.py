"""Who the rightsholders are, who signs for whom, who holds which share, how they are credited."""
