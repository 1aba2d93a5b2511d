"""Reports as files: one HTML file that needs nothing else, and PDF with charts as
vector graphics."""
