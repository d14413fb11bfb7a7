"""The command line itself: its help is quick, since a command loads what it needs only when it is asked."""

import json
import subprocess
import sys

HEAVY = {"fastapi", "httpx", "starlette", "tokenizers", "torch"}
ASKING = """
import json, sys
from refrain.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def test_the_help_loads_no_library_that_a_command_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKING], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stderr))
    assert "serve checkpoints over HTTP" in done.stdout
    assert "refrain.cli.commands.generate" in loaded
    assert loaded & HEAVY == set()
