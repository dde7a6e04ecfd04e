"""Turns documents into nodes. gmetad itself polls; this is for a plugin's own documents."""

import threading
import xml.sax

from Gmetad.gmetad_element import Element


class GmondContentHandler(xml.sax.ContentHandler):
    """Handler for xml.sax that turns elements into nodes; the first is `root`."""

    def __init__(self):
        xml.sax.ContentHandler.__init__(self)
        self.root = None
        self._open = []
        self._ancestry = []

    def startElement(self, tag, attrs):
        node = Element(tag, dict(attrs.items()))
        if self._open:
            self._open[-1][str(node)] = node
        else:
            self.root = node
        if len(self._ancestry) < 2 or (len(self._ancestry) == 2 and tag in ('GRID', 'CLUSTER')):
            self._ancestry.append(str(node))
        self._open.append(node)

    def endElement(self, tag):
        self._open.pop()

    def getClusterAncestry(self):
        """The keys that lead to the document's cluster or grid."""
        return self._ancestry


class GmondReader(threading.Thread):
    """The reader of a data_source. It does nothing, since gmetad polls it."""

    def __init__(self, dataSource, name=None, target=None, args=(), kwargs={}):
        threading.Thread.__init__(self, name=name, daemon=True)
        self.dataSource = dataSource
        self.lastKnownGoodHost = 0

    def run(self):
        """Returns at once."""

    def shutdown(self):
        """Does nothing."""
