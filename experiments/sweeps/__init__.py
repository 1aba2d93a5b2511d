"""Sweeps: many runs of one recipe whose settings a method chooses, under a budget."""
