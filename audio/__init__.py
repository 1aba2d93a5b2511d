"""Sound as numbers: hashes of what was decoded, landmark prints, and what is alike.

No Django and no torch: the portal and the compute side may both ask it.
"""
