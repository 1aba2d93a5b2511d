"""Import and export of catalogues: CSV, JSON and DDEX ERN."""
