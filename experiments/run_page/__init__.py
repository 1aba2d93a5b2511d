"""What a run's page shows while it goes: a live snapshot, its ranks side by side."""
