"""What the fork server imports last, and nobody else.

Orphans of a job that died become its children, to be found. What the machine is, its forks need not find out; nor need
their garbage collections look through, and so copy, all that has been imported here.
"""

import gc
import warnings

from harness.running import provenance
from harness.storage.orphans import adopt_orphans

adopt_orphans()
provenance.hardware()
gc.freeze()
warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")  # that of such an orphan
