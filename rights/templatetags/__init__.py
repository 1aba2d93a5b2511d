"""Template tags of the rights room."""
