"""What the fork server imports first, and nobody else.

Orphans of a job that died become its children, to be found. What the machine is, its forks need not find out.
"""

import warnings

from harness.running import provenance
from harness.running.executor_local import adopt_orphans

adopt_orphans()
provenance.hardware()
warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")  # that of such an orphan
