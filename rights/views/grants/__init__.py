"""Pages of agreements, grants, opt-outs and decisions."""
