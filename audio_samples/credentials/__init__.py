"""Content credentials (C2PA): what a generated file says about itself outside the portal.

manifest.py builds the manifest, chain.py has the certificates, files.py signs and reads in a
process of its own (tool.py, the only module that imports c2pa). issuing.py signs a sample for
download and stores the row; checking.py finds out whether a file was downloaded from here.
"""
