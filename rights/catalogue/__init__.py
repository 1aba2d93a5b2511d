"""Works, recordings and releases: taken in, credited, and held against what sounds alike."""
