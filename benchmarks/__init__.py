"""What the README claims, measured beside its peers: `python -m benchmarks`."""
