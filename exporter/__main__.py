"""``python -m exporter``: the same as the installed command."""

import sys

from exporter.cli import main

sys.exit(main())
