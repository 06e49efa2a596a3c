"""`python -m mien`: the command, where it is not on the path."""

from mien.cli.app import main

main()
