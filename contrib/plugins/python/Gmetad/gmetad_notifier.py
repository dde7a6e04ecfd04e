"""Calls plugins with new data. gmetad does this itself; this is for a plugin's own nodes."""

import copy
import queue
import threading

from Gmetad.gmetad_plugin import notify_plugins


class GmetadNotifier(threading.Thread):
    """A thread that calls all plugins in Python with the nodes that it gets, in order."""

    def __init__(self):
        threading.Thread.__init__(self, daemon=True)
        self._nodes = queue.Queue()

    def insertTransaction(self, node):
        """Queues a node; plugins get a copy."""
        if node is not None:
            self._nodes.put(copy.deepcopy(node))

    def run(self):
        while True:
            node = self._nodes.get()
            if node is None:
                return
            notify_plugins(node)

    def shutdown(self):
        """Ends the thread after the queued nodes."""
        self._nodes.put(None)
        if self.is_alive():
            self.join()
