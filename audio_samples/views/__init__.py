"""The pages of samples, by subject."""
