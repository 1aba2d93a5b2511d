"""Rules for every request and response: errors, outages, ranges, the frame of a page."""
