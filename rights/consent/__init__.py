"""Whether recordings may be used: what is known, how it is judged, and the answer that is kept."""
