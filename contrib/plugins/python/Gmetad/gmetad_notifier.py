"""Shows plugins what comes in. gmetad does so by itself; this is for nodes of a plugin's own."""

import copy
import queue
import threading

from Gmetad.gmetad_plugin import notify_plugins


class GmetadNotifier(threading.Thread):
    """A thread that shows all plugins in Python the nodes that it is given, in order."""

    def __init__(self):
        threading.Thread.__init__(self, daemon=True)
        self._nodes = queue.Queue()

    def insertTransaction(self, node):
        """Takes a node, of which plugins get a copy."""
        if node is not None:
            self._nodes.put(copy.deepcopy(node))

    def run(self):
        while True:
            node = self._nodes.get()
            if node is None:
                return
            notify_plugins(node)

    def shutdown(self):
        """Ends the thread once it has shown what it was given."""
        self._nodes.put(None)
        if self.is_alive():
            self.join()
