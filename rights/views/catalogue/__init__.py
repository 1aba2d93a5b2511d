"""Pages of works, recordings and releases."""
