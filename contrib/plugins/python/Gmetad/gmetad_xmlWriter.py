"""The newest state of all clusters and grids, or a part of it, as XML."""

from xml.sax.saxutils import escape

from Gmetad.gmetad_config import GmetadConfig, getConfig
from Gmetad.gmetad_data import DataStore
from Gmetad.gmetad_element import Element

# The levels of a path.
_LEVELS = {'GANGLIA_XML': 'GRID', 'GRID': 'CLUSTER', 'CLUSTER': 'HOST', 'HOST': 'METRIC'}


class XmlWriter:
    """Writes the DataStore as XML. gmetad's own ports do not use it."""

    def __init__(self):
        cfg = getConfig()
        self.gridname = cfg[GmetadConfig.GRIDNAME]
        self.authority = cfg[GmetadConfig.AUTHORITY]

    def getXml(self, filter=None, queryargs=None):
        """All of it, or what a path such as 'GRID/CLUSTER/HOST' leads to; with
        {'filter': 'summary'} sums in place of hosts."""
        names = [name for name in (filter or '').strip().split('/') if name]
        wanted = (queryargs or {}).get('filter', '')
        is_summary = wanted.strip().lower() == 'summary'
        store = DataStore()
        store.acquireLock(self)
        try:
            lines = ['<?xml version="1.0" encoding="UTF-8" standalone="yes"?>']
            self._write(lines, store.rootElement, names, is_summary)
        finally:
            store.releaseLock(self)
        return '\n'.join(lines) + '\n'

    def _write(self, lines, node, names, is_summary):
        attrs = ''.join(
            ' %s="%s"' % (name.upper(), escape(str(value), {'"': '&quot;'}))
            for name, value in node.getAttrs().items()
        )
        below = list(self._chosen(node, names))
        summary = node.getSummaryData()
        # Of a grid below, gmetad has only the summary.
        is_summed = summary is not None and (
            (is_summary and not names) or (node.id == 'GRID' and not below)
        )
        if not below and not is_summed:
            lines.append('<%s%s/>' % (node.tag, attrs))
            return
        lines.append('<%s%s>' % (node.tag, attrs))
        if is_summed:
            lines.append(
                '<HOSTS UP="%d" DOWN="%d" SOURCE="gmetad"/>'
                % (summary['hosts_up'], summary['hosts_down'])
            )
            below = list(summary['summary'].values()) + [
                child for child in below if child.id in ('CLUSTER', 'GRID')
            ]
        for child in below:
            self._write(lines, child, names[1:], is_summary)
        lines.append('</%s>' % node.tag)

    def _chosen(self, node, names):
        """The child that the path names, or all children."""
        if names and node.id in _LEVELS:
            for id in (_LEVELS[node.id], 'GRID'):
                key = Element.generateKey([id, names[0]])
                if key in node.children:
                    return [node.children[key]]
        return node
