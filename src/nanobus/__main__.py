"""`python -m nanobus` is the command `nanobus`."""

import sys

from nanobus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
