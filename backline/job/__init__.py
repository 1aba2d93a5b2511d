"""A program on the cluster: its start, its signals, the other nodes, and why it ended."""
