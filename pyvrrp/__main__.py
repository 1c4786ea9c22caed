"""`python -m pyvrrp`."""

import sys

from pyvrrp.cli import main

if __name__ == "__main__":
    sys.exit(main())
