"""Nodes of what gmetad has: made of a snapshot as they are touched, and ordinary from then on.

A snapshot never changes. It is kept for as long as one of its nodes is, so that a node may be kept
for as long as a plugin likes, and used on any thread. What a plugin changes is in its nodes alone;
Gmetad._changes brings it into the update.
"""

from Gmetad.gmetad_element import Element


def _restored():
    return Element.__new__(Element)


class _Node(Element):
    """A node of a snapshot, which knows it by a number."""

    # Children made so far, by name; None: not touched yet.
    __slots__ = ('_snapshot', '_number', '_attrs', '_children', '_found')

    lastReportedTime = 0
    gridDepth = -1

    # Prefix of its children's keys.
    _below = None

    def __init__(self, snapshot, number):
        self._snapshot = snapshot
        self._number = number
        self._attrs = None
        self._children = None
        self._found = None

    @property
    def attrs(self):
        attrs = self._attrs
        if attrs is None:
            attrs = self._snapshot.attrs(self._number)
            self._wrote_attrs = attrs.copy()
            self._attrs = attrs
        return attrs

    @attrs.setter
    def attrs(self, attrs):
        # What there was is what is written anew.
        if self._attrs is None:
            self._wrote_attrs = self._snapshot.attrs(self._number)
        self._attrs = attrs

    @property
    def children(self):
        children = self._children
        if children is None:
            children = self._made()
            self._wrote_children = children.copy()
            self._children = children
        return children

    @children.setter
    def children(self, children):
        if self._children is None:
            self._wrote_children = self._made()
        self._children = children

    def _made(self):
        """All children; those looked up before are the same objects."""
        snapshot = self._snapshot
        kind = self._below
        if kind is None:
            return {}
        made = {key: kind(snapshot, number) for key, number in snapshot.children(self._number)}
        if self._found:
            made.update(self._found)
        return made

    def __getitem__(self, key):
        if self._children is not None:
            return self._children[key]
        found = self._found
        if found is None:
            found = self._found = {}
        node = found.get(key)
        if node is None:
            node = found[key] = self._looked_up(key)
        return node

    def _looked_up(self, key):
        kind = self._below
        if kind is not None and isinstance(key, str) and key.partition(':')[0] == kind.id:
            number = self._snapshot.find(self._number, key)
            if number:
                return kind(self._snapshot, number)
        raise KeyError(key)

    def getAttr(self, attr):
        if self._attrs is None:
            return self._snapshot.get(self._number, attr.lower())
        return self._attrs.get(attr.lower())

    def __reduce_ex__(self, protocol):
        """A deep copy as an independent Element."""
        state = {
            'id': self.id,
            'tag': self.tag,
            'attrs': self.attrs,
            'lastReportedTime': self.lastReportedTime,
            'children': self.children,
            'gridDepth': self.gridDepth,
        }
        summary = self.getSummaryData()
        if summary is not None:
            state['summaryData'] = summary
        state.update(self.__dict__)
        return _restored, (), state


class _ExtraElement(_Node):
    __slots__ = ()
    id = tag = 'EXTRA_ELEMENT'


class _ExtraData(_Node):
    __slots__ = ()
    id = tag = 'EXTRA_DATA'
    _below = _ExtraElement


class _Metric(_Node):
    __slots__ = ()
    id = tag = 'METRIC'
    _below = _ExtraData


class _Sum(_Node):
    """A sum over a metric."""

    __slots__ = ()
    id = 'METRIC'
    tag = 'METRICS'
    _below = _ExtraData


class _Host(_Node):
    __slots__ = ('_reported',)
    id = tag = 'HOST'
    _below = _Metric

    def __init__(self, snapshot, number):
        _Node.__init__(self, snapshot, number)
        self._reported = None

    @property
    def lastReportedTime(self):
        """When the host was last heard of, by the clock of its source."""
        if self._reported is None:
            self._reported = int(self._snapshot.get(self._number, 'reported'))
        return self._reported

    @lastReportedTime.setter
    def lastReportedTime(self, time):
        self._reported = time


class _Top(_Node):
    """A node with a summary: a cluster or a grid."""

    __slots__ = ('_summary',)

    def __init__(self, snapshot, number):
        _Node.__init__(self, snapshot, number)
        self._summary = None

    @property
    def summaryData(self):
        if self._summary is None:
            summary = self._summed()
            self._wrote_summary = _copied(summary)
            self._summary = summary
        return self._summary

    @summaryData.setter
    def summaryData(self, summary):
        if self._summary is None:
            self._wrote_summary = self._summed()
        self._summary = summary

    def _summed(self):
        snapshot = self._snapshot
        up, down = snapshot.hosts()
        sums = {key: _Sum(snapshot, number) for key, number in snapshot.sums()}
        return {'summary': sums, 'hosts_up': up, 'hosts_down': down}


def _copied(summary):
    """What is kept to find later changes."""
    return dict(summary, summary=dict(summary['summary']))


class _Cluster(_Top):
    __slots__ = ()
    id = tag = 'CLUSTER'
    _below = _Host


class _Grid(_Top):
    """A grid below, of which gmetad has only the summary."""

    __slots__ = ()
    id = tag = 'GRID'


_GRID = 1


def node_of(snapshot):
    """The cluster or grid of a snapshot."""
    top = snapshot.top()
    kind = _Grid if snapshot.kind(top) == _GRID else _Cluster
    return kind(snapshot, top)
