"""`python -m refrain`: the `refrain` command."""

from __future__ import annotations

import sys

from refrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
