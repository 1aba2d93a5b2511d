"""What every request and answer is held to: errors, outages, ranges, the frame of a page."""
