"""Audio as numbers: digests of decoded sound, measures, landmark prints, and their matching.

No Django and no torch: the portal and the compute side may both use it.
"""
