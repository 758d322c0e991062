"""`python -m nanobus` is the command `nanobus`."""

import sys

from nanobus.cli.main import main

sys.exit(main())
