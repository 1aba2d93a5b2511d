"""Comments on what a project has: runs, samples, sweeps, reports."""
