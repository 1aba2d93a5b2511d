"""Datasets and runs from submit to end: states, attempts, resources, quotas, costs."""
