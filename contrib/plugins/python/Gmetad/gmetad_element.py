"""Nodes, as in gmetad-python: a cluster with its hosts and metrics, or a grid."""

import copy


class Element:
    """A node: an id, attributes by lower-case name, and children by key, both dictionaries."""

    # What stands in gmetad's tree of it, as it was written there: see Gmetad._changes.
    __slots__ = ('__dict__', '__weakref__', '_wrote_attrs', '_wrote_children', '_wrote_summary')

    def __init__(self, id, attrs, tag=None):
        self.id = id
        self.tag = id if tag is None else tag
        self.attrs = {name.lower(): value for name, value in attrs.items()}
        self.lastReportedTime = 0
        self.children = {}
        self.gridDepth = -1

    @staticmethod
    def generateKey(vals):
        """The key of a child: 'HOST:web1' for ['HOST', 'web1']."""
        return ':'.join(vals) if isinstance(vals, list) else vals

    def __str__(self):
        name = self.getAttr('name')
        return self.id if name is None else '%s:%s' % (self.id, name)

    def __repr__(self):
        return '<Element %s>' % self

    def __iter__(self):
        return iter(self.children.values())

    def __getitem__(self, key):
        return self.children[key]

    def __setitem__(self, key, node):
        """Adds a child. If one with that key exists, it takes the new one's values if that has all of
        its attributes; otherwise it is replaced."""
        known = self.children.get(key)
        if known is None or not known._takes(node):
            self.children[key] = node
        else:
            known.update(node)

    def _takes(self, node):
        theirs = node.getAttrs()
        return all(name in theirs for name in self.getAttrs())

    def update(self, elem):
        """Takes another node's values of the attributes that this one has."""
        theirs = elem.getAttrs()
        mine = self.getAttrs()
        for name in mine:
            if name in theirs:
                mine[name] = theirs[name]

    def getAttr(self, attr):
        """An attribute's value, by its name in any case; None if there is none."""
        return self.attrs.get(attr.lower())

    def getAttrs(self):
        """All attributes; changes to the dictionary change the node."""
        return self.attrs

    def setAttr(self, attr, val):
        """Sets an attribute, also a new one."""
        self.attrs[attr.lower()] = val

    def incAttr(self, attr, val):
        """Adds to an attribute that is a number or a string of one; logs an error if it is neither."""
        value = self.getAttr(attr)
        try:
            if isinstance(value, str):
                value = float(value) if '.' in value or 'e' in value.lower() else int(value)
            self.setAttr(attr, value + val)
        except (TypeError, ValueError) as error:
            print('%s of %s cannot be added to: %s' % (attr, self, error))

    def getSummaryData(self):
        """hosts_up, hosts_down and summary of a cluster or grid; None for other nodes."""
        return getattr(self, 'summaryData', None)

    def summaryCopy(self, id=None, tag=None):
        """An empty node for a sum over nodes like this one, with the same children."""
        names = ('name', 'type', 'units', 'slope', 'source')
        attrs = {name: value for name, value in self.getAttrs().items() if name in names}
        attrs.update(sum=0, num=0)
        made = Element(self.id if id is None else id, attrs, tag)
        made.children = self.children
        return made

    def __copy__(self):
        """A node with the same attributes, without children."""
        return Element(self.id, {name: copy.copy(it) for name, it in self.getAttrs().items()})

    def __getstate__(self):
        return dict(self.__dict__)
