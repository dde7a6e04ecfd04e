"""Nodes of an update: a cluster with its hosts and metrics, or a grid, as gmetad-python has them.

Nothing is copied: a node is a number, of which an object is made when it is touched, and what is
set is set in gmetad's tree, for all plugins after this one to see. Nodes that a plugin makes by
itself are on their own until they are put under another.
"""

from collections.abc import MutableMapping

import _gmetad

_KINDS = {
    1: 'GRID',
    2: 'CLUSTER',
    3: 'HOST',
    4: 'METRIC',
    5: 'METRICS',
    6: 'EXTRA_DATA',
    7: 'EXTRA_ELEMENT',
}
_NUMBERS = {name: number for number, name in _KINDS.items()}

_get = _gmetad.get
_children_of = _gmetad.children_of
_find_child = _gmetad.find_child


def _text(value):
    """What a tree can keep: text, which is what a document has."""
    if value is None:
        return ''
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else str(value)


class Element:
    """A node: an id, attributes by lower-case name, and children by key."""

    def __init__(self, id, attrs, tag=None):
        self.id = id
        self.tag = id if tag is None else tag
        self.attrs = {name.lower(): value for name, value in attrs.items()}
        self.children = {}

    @staticmethod
    def generateKey(vals):
        """The key of a child: 'HOST:web1' for ['HOST', 'web1']."""
        return ':'.join(vals) if isinstance(vals, list) else vals

    def __str__(self):
        name = self.getAttr('name')
        return self.id if name is None else self.id + ':' + _text(name)

    def __repr__(self):
        return '<%s %s>' % (type(self).__name__.lstrip('_'), self)

    def __iter__(self):
        return iter(self.children.values())

    def __getitem__(self, key):
        return self.children[key]

    def __setitem__(self, key, node):
        """Puts a node under this one; if one of that key is there, it takes the other's values."""
        if key in self.children:
            self.children[key].update(node)
        else:
            self.children[key] = node

    def update(self, node):
        """Takes another node's values for the attributes that this one has."""
        theirs = node.getAttrs()
        for name in list(self.attrs):
            if name in theirs:
                self.attrs[name] = theirs[name]

    def getAttr(self, attr):
        """An attribute's value, None where there is none of that name in any case."""
        return self.attrs.get(attr.lower())

    def getAttrs(self):
        """All attributes; what is set in them is set in the node."""
        return self.attrs

    def setAttr(self, attr, val):
        """Sets an attribute, or makes one up."""
        self.attrs[attr.lower()] = val

    def incAttr(self, attr, val):
        """Adds to an attribute that is a number; says so, and goes on, where it is none."""
        value = self.getAttr(attr)
        try:
            if isinstance(value, str):
                value = float(value) if '.' in value or 'e' in value.lower() else int(value)
            self.setAttr(attr, value + val)
        except (TypeError, ValueError) as error:
            print('%s of %s cannot be added to: %s' % (attr, self, error))

    def getSummaryData(self):
        """hosts_up, hosts_down and summary, of a cluster or grid; None for other nodes."""
        return getattr(self, 'summaryData', None)

    def summaryCopy(self, id=None, tag=None):
        """A node for a sum over nodes like this one, with nothing summed up yet."""
        names = ('name', 'type', 'units', 'slope', 'source')
        theirs = self.getAttrs()
        attrs = {name: theirs[name] for name in names if name in theirs}
        attrs.update(sum=0, num=0)
        return Element(self.id if id is None else id, attrs, tag)

    def __copy__(self):
        return Element(self.id, dict(self.getAttrs()), self.tag)

    def __deepcopy__(self, memo):
        copied = self.__copy__()
        for child in self:
            copied.children[str(child)] = child.__deepcopy__(memo)
        return copied


class _Node(Element):
    """A node of gmetad's tree."""

    # What Element.__init__ sets is asked for instead.

    def __init__(self, number):
        self._number = number

    @property
    def id(self):
        return _KINDS[_gmetad.kind_of(self._number)]

    tag = id

    @property
    def attrs(self):
        return _Attributes(self._number)

    @property
    def children(self):
        return _Children(self._number)

    @property
    def summaryData(self):
        try:
            return _SummaryData(self._number)
        except TypeError:
            raise AttributeError('%s has no summaryData' % self) from None

    def __eq__(self, other):
        return isinstance(other, _Node) and self._number == other._number

    def __hash__(self):
        return hash(self._number)

    def __iter__(self):
        return map(_Node, _children_of(self._number))

    def __getitem__(self, key):
        found = _find_child(self._number, key)
        if not found:
            raise KeyError(key)
        return _Node(found)

    def getAttr(self, attr):
        return _get(self._number, attr.lower())

    def setAttr(self, attr, val):
        _gmetad.set(self._number, attr.lower(), _text(val))


class _Attributes(MutableMapping):
    """The attributes of a node of gmetad's tree."""

    def __init__(self, number):
        self._number = number

    def __getitem__(self, name):
        value = _get(self._number, name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name, value):
        _gmetad.set(self._number, name, _text(value))

    def __delitem__(self, name):
        raise TypeError('an attribute can be set to an empty text, not removed')

    def __iter__(self):
        return iter(_gmetad.names_of(self._number))

    def __len__(self):
        return len(_gmetad.names_of(self._number))

    def __repr__(self):
        return repr(dict(self))


class _Children(MutableMapping):
    """The children of a node of gmetad's tree, by key."""

    def __init__(self, number):
        self._number = number

    def __getitem__(self, key):
        found = _find_child(self._number, key)
        if not found:
            raise KeyError(key)
        return _Node(found)

    def __setitem__(self, key, node):
        """Puts a node in the place of the one of that key, or behind the others."""
        found = _find_child(self._number, key)
        if isinstance(node, _Node) and found == node._number:
            return
        copied = _detached(node, key)
        if found:
            _gmetad.remove(found)
        number = _attach(self._number, copied)
        if not isinstance(node, _Node):
            # From here on it is this one.
            node.__dict__.clear()
            node.__class__ = _Node
            node._number = number

    def __delitem__(self, key):
        found = _find_child(self._number, key)
        if not found:
            raise KeyError(key)
        _gmetad.remove(found)

    def __contains__(self, key):
        return isinstance(key, str) and bool(_find_child(self._number, key))

    def __iter__(self):
        return map(str, self.values())

    def __len__(self):
        return len(_children_of(self._number))

    def values(self):
        return [_Node(number) for number in _children_of(self._number)]

    def items(self):
        return [(str(node), node) for node in self.values()]

    def __repr__(self):
        return repr(dict(self))


def _detached(node, key):
    """A copy that takes what is missing, its name, from the key."""
    copied = node.__deepcopy__({})
    id, colon, name = key.partition(':')
    if id != copied.id:
        raise ValueError('the key of a %s does not begin with %s' % (copied.id, id))
    if colon:
        copied.attrs.setdefault('name', name)
        if _text(copied.attrs['name']) != name:
            raise ValueError('%s cannot stand under the key %s' % (copied, key))
    return copied


def _attach(parent, node):
    if node.id not in _NUMBERS:
        raise ValueError('%s is none of %s' % (node.id, ', '.join(_NUMBERS)))
    attributes = [(name, _text(value)) for name, value in node.attrs.items()]
    number = _gmetad.add(parent, _NUMBERS[node.id], attributes)
    for child in node:
        _attach(number, child)
    return number


class _SummaryData(MutableMapping):
    """hosts_up, hosts_down, and summary: METRICS by key."""

    _names = ('summary', 'hosts_up', 'hosts_down')

    def __init__(self, number):
        self._number = number
        # Other nodes have none.
        _gmetad.hosts_of(number)

    def __getitem__(self, name):
        if name == 'summary':
            return _Sums(self._number)
        return _gmetad.hosts_of(self._number)[('hosts_up', 'hosts_down').index(self._known(name))]

    def __setitem__(self, name, value):
        if name == 'summary':
            raise TypeError('set the sums in it one by one')
        up, down = _gmetad.hosts_of(self._number)
        if self._known(name) == 'hosts_up':
            up = value
        else:
            down = value
        _gmetad.set_hosts(self._number, up, down)

    def __delitem__(self, name):
        raise TypeError('%s cannot be removed' % name)

    def _known(self, name):
        if name not in self._names:
            raise KeyError(name)
        return name

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)

    def __repr__(self):
        return repr(dict(self))


class _Sums(_Children):
    """The METRICS of a cluster or grid. METRIC:name, gmetad-python's key, finds METRICS:name."""

    @staticmethod
    def _key(key):
        id, colon, name = key.partition(':')
        return 'METRICS:' + name if colon and id == 'METRIC' else key

    def __getitem__(self, key):
        return super().__getitem__(self._key(key))

    def __setitem__(self, key, node):
        if node.id == 'METRIC':
            node = Element('METRICS', dict(node.getAttrs()))
        super().__setitem__(self._key(key), node)

    def __delitem__(self, key):
        super().__delitem__(self._key(key))

    def __contains__(self, key):
        return isinstance(key, str) and super().__contains__(self._key(key))

    def __len__(self):
        return len(_gmetad.sums_of(self._number))

    def values(self):
        return [_Node(number) for number in _gmetad.sums_of(self._number)]
