"""The functions that daemonize gmetad-python. gmetad does this itself before it loads plugins."""


def setuid():
    """Does nothing: the process already runs as the user in `setuid_username`."""


def daemonize(ignore_fds=[]):
    """Does nothing: the process is already a daemon, or meant to stay in the foreground."""
