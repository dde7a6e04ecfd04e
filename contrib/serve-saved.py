#!/usr/bin/env python3
"""Sends a saved document to everyone who connects, as a gmond does: serve-saved.py DOCUMENT PORT_FILE.

Its times, LOCALTIME and REPORTED, are moved to now. The port is the system's choice; it is in PORT_FILE
as soon as it can be connected to.
"""

import os
import re
import socket
import sys
import time

with open(sys.argv[1], "rb") as saved:
    document = saved.read()
SAVED_AT = int(re.search(rb'LOCALTIME="(\d+)"', document)[1])


def now(found):
    """A time of the document, as it would be now."""
    return b'%s="%d"' % (found[1], int(found[2]) - SAVED_AT + int(time.time()))


server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[2] + ".new", "w", encoding="ascii") as port:
    port.write(str(server.getsockname()[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
while True:
    client, _ = server.accept()
    with client:
        client.sendall(re.sub(rb'(LOCALTIME|REPORTED)="(\d+)"', now, document))
