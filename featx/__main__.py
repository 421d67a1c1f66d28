"""``python -m featx`` is ``featx``."""

from featx.cli import main

main()
