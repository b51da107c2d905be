"""What the fork server imports first, and nobody else: orphans of a job that died become its children, to be found."""

import warnings

from harness.running.executor_local import adopt_orphans

adopt_orphans()
warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")  # that of such an orphan
