"""Content credentials (C2PA): what a generated file says of itself once it has left the portal.

manifest.py has what is said, chain.py the certificates, files.py signs and reads, by a process of
its own (tool.py, the only one that imports c2pa). issuing.py gives a sample out with a credential
and keeps the row; checking.py tells of any file whether it was downloaded from here.
"""
