"""The newest state of all clusters and grids, as in gmetad-python."""

import threading
import time

import _gmetad
from Gmetad._nodes import node_of
from Gmetad.gmetad_config import GmetadConfig, getConfig
from Gmetad.gmetad_element import Element
from Gmetad.gmetad_notifier import GmetadNotifier


class _Newest:
    """gmetad's data as nodes; the nodes of a cluster stay the same until it is polled again."""

    def __init__(self):
        self._making = threading.Lock()
        self._news = None
        self._known = {}
        self.clusters = {}
        self.root = None

    def refresh(self):
        # Read first, so that a change in between is found next time.
        news = _gmetad.news()
        if news == self._news:
            return
        with self._making:
            known = {}
            clusters = {}
            for snapshot in _gmetad.newest():
                node = self._known.get(snapshot.address)
                if node is None:
                    node = node_of(snapshot)
                known[snapshot.address] = node
                key = str(node)
                # If several sources have it, the one that answers is used.
                if key not in clusters or node.getAttr('status') == 'up':
                    clusters[key] = node
            root = _gmetad.newest_root()
            if root is not None:
                root = self._known.get(root.address) or node_of(root)
                known[root._snapshot.address] = root
            self._known, self.clusters, self.root = known, clusters, root
            self._news = news


class _Live(Element):
    """A node whose children are always the newest, except while the lock is held."""

    def __init__(self, store, id, attrs):
        self._store = store
        Element.__init__(self, id, attrs)

    @property
    def children(self):
        return self._store._children_of(self)

    @children.setter
    def children(self, children):
        # It has no children of its own.
        pass

    def __reduce_ex__(self, protocol):
        plain = Element(self.id, self.attrs, self.tag)
        plain.children = self.children
        summary = self.getSummaryData()
        if summary is not None:
            plain.summaryData = summary
        return plain.__reduce_ex__(protocol)


class _OwnGrid(_Live):
    """gmetad's own grid, which contains all clusters and grids."""

    @property
    def summaryData(self):
        root = self._store._current().root
        if root is None:
            raise AttributeError('nothing was summed up yet')
        return root.summaryData

    def getAttr(self, attr):
        self._store._current()
        return Element.getAttr(self, attr)

    def getAttrs(self):
        self._store._current()
        return self.attrs


class DataStore:
    """The newest state of everything; all instances are the same."""

    _shared_state = {}
    _beginning = threading.Lock()

    def __init__(self):
        self.__dict__ = DataStore._shared_state
        with DataStore._beginning:
            if '_grids' not in self.__dict__:
                self._begin()

    def _begin(self):
        cfg = getConfig()
        self.lock = threading.Lock()
        self._newest = _Newest()
        self._holder = None
        self._root = _Live(self, 'GANGLIA_XML', {'VERSION': cfg.VERSION, 'SOURCE': 'gmetad'})
        self._grid = _OwnGrid(
            self,
            'GRID',
            {
                'NAME': cfg[GmetadConfig.GRIDNAME],
                'AUTHORITY': cfg[GmetadConfig.AUTHORITY],
                'LOCALTIME': '%d' % time.time(),
            },
        )
        self._grids = {str(self._grid): self._grid}
        self.notifier = GmetadNotifier()

    def _current(self):
        """The newest data, or what was newest when the lock was taken."""
        newest = self._newest
        if not self.lock.locked():
            self._refresh()
        return newest

    def _refresh(self):
        self._newest.refresh()
        root = self._newest.root
        if root is not None:
            self._grid.attrs['localtime'] = root.getAttr('localtime')

    def _children_of(self, node):
        if node is self._root:
            return self._grids
        return self._current().clusters

    @property
    def rootElement(self):
        """GANGLIA_XML, which contains the GRID, which contains all clusters and grids."""
        self._current()
        return self._root

    def getNode(self, ancestry=[]):
        """The node at the end of a path of keys, from GANGLIA_XML on; missing keys are skipped."""
        keys = list(ancestry)
        node = self.rootElement
        if keys and keys[0] != str(node):
            return None
        for key in keys[1:]:
            try:
                node = node[key]
            except KeyError:
                pass
        return node

    def setNode(self, node, parent=None):
        """Adds a node to another node that the plugin has made."""
        if parent is None:
            return self.rootElement
        parent[str(node)] = node
        return parent[str(node)]

    def updateFinished(self, clusterNode):
        """Does nothing: gmetad itself summarises, and calls the plugins."""

    def shutdown(self):
        """Does nothing: gmetad itself ends."""

    def acquireLock(self, obj):
        """Waits until nobody else holds the lock. The data does not change until it is released."""
        me = threading.get_ident()
        if self._holder == me and self.lock.locked():
            raise RuntimeError('this thread holds the lock of the DataStore already')
        self.lock.acquire()
        self._holder = me
        self._refresh()

    def releaseLock(self, obj):
        """Releases the lock."""
        self._holder = None
        self.lock.release()

    def _is_held_here(self):
        return self._holder == threading.get_ident() and self.lock.locked()
