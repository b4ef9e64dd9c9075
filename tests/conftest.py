"""Set-up of all tests: one thread for numerical libraries, here and in the processes tests start.

Several processes of several threads each on a few cores make every one of them wait; and results must not depend on it.
"""

import os
import signal

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before anything imports numpy or torch

# A shell starts what runs in the background deaf to Ctrl-C, and so are the processes that tests start and interrupt then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
