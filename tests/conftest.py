"""Set-up of all tests: one thread for numerical libraries, here and in the processes tests start.

Several processes of several threads each on a few cores make every one of them wait; and results must not depend on it.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before anything imports numpy or torch
