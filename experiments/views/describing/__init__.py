"""What people say of runs and do with many: pages, fragments, API."""
