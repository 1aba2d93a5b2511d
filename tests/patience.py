"""How long a test waits for what has to come.

What never comes is to end the test with a word; how fast it comes is no test's business. So the
limit is far beyond what the slowest machine needs with others at work on it: a processor without
AVX-512 trains many times as slowly as one that has it.
"""

LIMIT_SECONDS = 900.0
