"""Whether recordings may be used: the facts, how they are judged, and the stored decision."""
