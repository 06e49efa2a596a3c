"""The command `mien`: one file a command, no mathematics.

Nothing heavy is imported at the top of these files, so that `mien --help`
stays quick: every command imports its rooms when it runs.
"""
