"""Whose word a command takes where nobody says a name."""

import getpass


def log_in() -> str:
    """Who runs this command, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process whose user has no name
        return "somebody"
