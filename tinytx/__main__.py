"""``python -m tinytx``."""

import sys

from tinytx.cli import main

if __name__ == "__main__":
    sys.exit(main())
