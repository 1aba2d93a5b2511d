"""How the C library of our own programs keeps memory: read before Python begins, so by environment.

A training step takes and frees what the step before it took and freed. By default the pages go back
to the kernel and are asked for again, zeroed: a quarter to half of a step's time, more of it the
larger the batch. Here nothing goes back before the program ends; its highest use is the same.
"""

KEEPING_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
