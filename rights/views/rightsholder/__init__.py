"""The rightsholder's own pages."""
