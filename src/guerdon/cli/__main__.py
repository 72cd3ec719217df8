"""`python -m guerdon.cli`."""

from guerdon.cli.app import main

main()
