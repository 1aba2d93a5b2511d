"""The pages of samples, by what they are about."""
