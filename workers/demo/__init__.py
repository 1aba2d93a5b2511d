"""The demo world: a small lab with an opted-in catalogue, made by the product's own functions."""

# Known to everyone who reads this file: the demo world is for a laptop, never for a lab.
PASSWORD = "backline-demo"  # noqa: S105
DATASET = "demo, opted in"
PROJECT = "first-light"
