"""The readers of input: query parameters, forms, API schemas, each with its bounds."""
