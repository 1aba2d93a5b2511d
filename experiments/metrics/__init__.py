"""The metric store: batches in, compressed series with levels of detail out."""
