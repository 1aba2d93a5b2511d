"""Charts of many runs: curves in one request, the panels of a page, layouts that people keep."""
