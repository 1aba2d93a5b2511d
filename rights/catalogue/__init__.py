"""Works, recordings and releases: added, credited, and compared with what sounds alike."""
