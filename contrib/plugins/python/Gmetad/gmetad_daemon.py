"""What makes gmetad-python a daemon. gmetad has done both itself long before a plugin is loaded."""


def setuid():
    """Does nothing: the process is the user already that `setuid_username` names."""


def daemonize(ignore_fds=[]):
    """Does nothing: the process is where it is to stay."""
