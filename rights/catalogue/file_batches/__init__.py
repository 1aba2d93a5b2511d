"""Many files at once for recordings that were announced: received, looked at, matched, attached."""
