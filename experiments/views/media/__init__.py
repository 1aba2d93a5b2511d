"""Media on steps: the tab of a run, what panels of charts show, and the API."""
