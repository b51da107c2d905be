"""The command `harness`, also as ``python -m harness``."""

import sys

try:
    from harness.commands.cli import main
except KeyboardInterrupt:  # in the first moment
    sys.stderr.write("harness: interrupted\n")
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
