"""The pages of projects, runs and datasets: one module per page."""
