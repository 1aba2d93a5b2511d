"""What a run's page shows while it is open: a live snapshot, its ranks side by side."""
