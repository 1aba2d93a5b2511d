"""The readers of what comes in: query parameters, forms, API schemas, each with its bounds."""
