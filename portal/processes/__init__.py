"""The processes of the embedded default, started in order and kept alive."""
