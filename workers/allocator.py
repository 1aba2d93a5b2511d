"""Memory settings of the C library in our own programs, read from the environment at start.

Each training step allocates and frees the same memory as the step before. By default the pages go
back to the kernel and are requested again, zeroed: a quarter to half of a step's time, more with a
larger batch. With these settings nothing goes back before the program ends; peak use is the same.
"""

MALLOC_SETTINGS = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
