"""The demo world: a small lab with an opted-in catalogue, made by the product's own verbs."""
