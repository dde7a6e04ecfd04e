"""What plugins in Python have changed of an update, for the plugins after them and gmetad's own.

Only what was touched is looked at. Whatever Python can keep, it keeps; what an update cannot hold is
said once, and stays as it was for all but plugins in Python.
"""

import _gmetad

_NUMBERS = {
    'HOST': 3,
    'METRIC': 4,
    'METRICS': 5,
    'EXTRA_DATA': 6,
    'EXTRA_ELEMENT': 7,
}

# What can be wrong with one change; others go on.
_REFUSED = (KeyError, RuntimeError, TypeError, ValueError)


class Changes:
    """Those of one update, to be written into it by number while notify is called."""

    def __init__(self, tell):
        # Takes a line about what cannot be written.
        self._tell = tell

    def write(self, node, number):
        """Writes what has changed of the top since it was last written, and of all below it."""
        self._attributes(node, lambda: number)
        self._children(node, lambda: number)
        self._summary(node, number)

    def _attributes(self, node, number):
        attrs = _touched(node, '_attrs', 'attrs')
        if attrs is None:
            return
        wrote = node._wrote_attrs
        if _is_same(attrs, wrote):
            return
        now = dict(attrs)
        for name, value in now.items():
            if name not in wrote or not _is_same(value, wrote[name]):
                self._set(node, number, name, value)
        for name in wrote:
            if name not in now:
                self._set(node, number, name, '')
        node._wrote_attrs = now

    def _set(self, node, number, name, value):
        if not isinstance(name, str):
            return
        try:
            _gmetad.set(number(), name, _text(value))
        except _REFUSED as error:
            # That there is no such number any more is what was asked for.
            if value != '':
                self._refused('%s of %s' % (name, node), value, error)

    def _refused(self, what, value, error):
        self._tell(
            'what it has set %s to, %s, is seen by plugins in Python alone: %s'
            % (what, repr(value)[:100], error)
        )

    def _children(self, node, number):
        children = _touched(node, '_children', 'children')
        if children is None:
            # Those that were looked up one by one.
            for key, child in (getattr(node, '_found', None) or {}).items():
                self._below(node, number, key, child)
            return
        wrote = node._wrote_children
        if not _is_same(children, wrote):
            now = dict(children)
            self._replace(number, wrote, now, None)
            node._wrote_children = children = now
        for key, child in children.items():
            if wrote.get(key) is child:
                self._below(node, number, key, child)

    def _below(self, node, number, key, child):
        if (
            getattr(child, '_attrs', child) is None
            and child._children is None
            and child._found is None
        ):
            return
        place = _Place(number, _key(child, key))
        self._attributes(child, place)
        self._children(child, place)

    def _replace(self, number, wrote, now, tag):
        """Removes the children that are gone, and adds new ones."""
        for key, child in wrote.items():
            if now.get(key) is not child:
                self._remove(number, key if tag is None else 'METRICS' + key[len('METRIC'):])
        for key, child in now.items():
            if wrote.get(key) is not child:
                try:
                    _add(number(), tag or child.id, child, key)
                except (AttributeError,) + _REFUSED as error:
                    self._refused(key, child, error)

    def _remove(self, number, key):
        found = _gmetad.find_child(number(), key)
        if found:
            _gmetad.remove(found)

    def _summary(self, node, number):
        summary = _touched(node, '_summary', 'summaryData')
        if summary is None:
            return
        wrote = node._wrote_summary
        try:
            sums, up, down = (summary[name] for name in ('summary', 'hosts_up', 'hosts_down'))
            sums = dict(sums)
            if (up, down) != (wrote['hosts_up'], wrote['hosts_down']):
                _gmetad.set_hosts(number, up, down)
        except _REFUSED + (OverflowError,) as error:
            self._refused('summaryData of %s' % node, summary, error)
            return
        before = wrote['summary']
        if sums != before:
            self._replace(lambda: number, before, sums, 'METRICS')
        for key, child in sums.items():
            if before.get(key) is child:
                name = _name(child, key)
                place = _Place(lambda: number, 'METRICS:%s' % name)
                self._attributes(child, place)
                self._children(child, place)
        node._wrote_summary = {'summary': sums, 'hosts_up': up, 'hosts_down': down}


class _Place:
    """The place of a node in the update, looked up only when there is something to write."""

    __slots__ = ('_above', '_key', '_number')

    def __init__(self, above, key):
        self._above = above
        self._key = key
        self._number = None

    def __call__(self):
        if self._number is None:
            self._number = _gmetad.find_child(self._above(), self._key)
            if not self._number:
                raise KeyError('%s is not in the update' % self._key)
        return self._number


def _touched(node, slot, name):
    """A dictionary of the node's that was looked at, or is of a node that a plugin has made."""
    try:
        return getattr(node, slot)
    except AttributeError:
        pass
    # One that was never written is not in the update.
    if not hasattr(node, '_wrote_attrs'):
        return None
    return getattr(node, name, None)


def _is_same(one, other):
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:
        # What cannot be compared counts as changed.
        return False


def _name(node, key):
    wrote = getattr(node, '_wrote_attrs', None)
    name = None if wrote is None else wrote.get('name')
    return key.partition(':')[2] if name is None else _text(name)


def _key(node, key):
    """The key of a node in the update: its name there, wherever the plugin has put it."""
    if key == 'EXTRA_DATA':
        return key
    return '%s:%s' % (key.partition(':')[0], _name(node, key))


def _add(parent, id, node, key):
    if id not in _NUMBERS:
        raise ValueError('%s is none of %s' % (id, ', '.join(_NUMBERS)))
    attrs = dict(node.getAttrs())
    children = dict(node.children)
    given = {name: _text(value) for name, value in attrs.items() if isinstance(name, str)}
    if id != 'EXTRA_DATA':
        given.setdefault('name', key.partition(':')[2])
    if id == 'METRICS':
        # That of every sum.
        given['type'] = 'double'
    number = _gmetad.add(parent, _NUMBERS[id], list(given.items()))
    for key, child in children.items():
        _add(number, child.id, child, key)
    node._wrote_attrs = attrs
    node._wrote_children = children


def _text(value):
    """The text of a value, which is all that an update can hold."""
    if value is None:
        return ''
    if isinstance(value, bool):
        return str(int(value))
    text = value if isinstance(value, str) else str(value)
    # It cannot hold half of a surrogate pair.
    return text.encode('utf-8', 'replace').decode('utf-8')
