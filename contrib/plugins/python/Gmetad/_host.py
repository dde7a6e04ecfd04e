"""Loads plugins, calls them, and sends what they print and log to gmetad's log.

For gmetad alone: plugins import the other modules of the package.
"""

import ast
import importlib.util
import logging
import os
import posix
import re
import sys
import threading
import traceback

import Gmetad
import _gmetad
from Gmetad import _changes, _nodes, gmetad_config, gmetad_data, gmetad_plugin

ERROR, WARNING, INFO, DEBUG = 2, 3, 4, 5

# By name of the module: the plugin to name when a thread of Python's own logs.
_owners = {}


class Refused(Exception):
    """Why a file is not loaded, as a text for the log."""


class Plugin:
    """One file's plugin, as gmetad calls it."""

    def __init__(self, id, plugin):
        self.id = id
        self.replaces = _replaced_by(plugin)
        self._plugin = plugin
        self._fails = False
        # A value that cannot be written is logged once.
        self._told = False

    def start(self):
        self._plugin.start()

    def notify(self, number):
        node = _shown.node()
        try:
            self._plugin.notify(node)
        except BaseException as error:
            # Like gmetad, log only the first of several.
            if not self._fails:
                _log_traceback(error)
            self._fails = True
            error._is_told = True
            raise
        else:
            self._fails = False
        finally:
            _shown.write(number, self._tell)
            self._let_go()

    def _tell(self, line):
        if not self._told:
            self._told = True
            _log(WARNING, line + ' (said once)')

    def _let_go(self):
        store = gmetad_data.DataStore._shared_state
        if store and gmetad_data.DataStore()._is_held_here():
            gmetad_data.DataStore().releaseLock(self)
            _log(WARNING, 'notify has ended with the lock of the DataStore: it is released')

    def stop(self):
        try:
            self._plugin.stop()
        except BaseException as error:
            _log_traceback(error)
            _log(ERROR, 'stop failed: ' + _in_short(error))
        for stream in (sys.stdout, sys.stderr):
            stream.finish()


class _Shown:
    """The current update as nodes, shared by all plugins in Python until another plugin changes it
    in between."""

    def __init__(self):
        self._node = None
        self._revision = None

    def node(self):
        if self._node is None or _gmetad.revision() != self._revision:
            self._node = _nodes.node_of(_gmetad.hold())
        return self._node

    def write(self, number, tell):
        _changes.Changes(tell).write(self._node, number)
        self._revision = _gmetad.revision()


_shown = _Shown()


def load(path):
    """Makes the plugin of a file, or raises Refused."""
    stem, module = _imported(path)
    factory = getattr(module, 'get_plugin', None)
    if not callable(factory):
        raise Refused('it has no function get_plugin()')
    try:
        plugin = factory()
    except BaseException as error:
        _log_traceback(error)
        raise Refused('its get_plugin() failed: ' + _in_short(error)) from None
    if not isinstance(plugin, gmetad_plugin.GmetadPlugin):
        raise Refused(
            'its get_plugin() returned %s, which is not derived from GmetadPlugin'
            % ('None' if plugin is None else 'a ' + type(plugin).__name__)
        )
    # Without a call of the base's __init__ it has no section, and so no id.
    id = getattr(plugin, 'cfgid', None) or re.sub('[^A-Za-z0-9_.-]', '_', stem)
    gmetad_plugin._plugins.append(plugin)
    return Plugin(str(id), plugin)


def try_out(path):
    """Imports a file as load() does, and no more: its get_plugin() runs once, in gmetad itself."""
    _imported(path)


def _imported(path):
    """The name and the module of a file, or raises Refused."""
    folder, name = os.path.split(path)
    if folder not in sys.path:
        sys.path.append(folder)
    stem = name[:-len('.py')]
    _look_at(path)
    return stem, _module(stem, path)


def _look_at(path):
    """Raises Refused if a file cannot be a plugin, as far as that shows without running it."""
    try:
        with open(path, 'rb') as file:
            tree = compile(file.read(), path, 'exec', ast.PyCF_ONLY_AST, dont_inherit=True)
            compile(tree, path, 'exec', dont_inherit=True)
    except BaseException as error:
        raise Refused('it cannot be imported: ' + _in_short(error)) from None
    if not _may_bind(tree, 'get_plugin'):
        raise Refused('it has no function get_plugin()')


def _may_bind(node, name):
    """Whether the code of a module may set a name there, apart from its functions and classes."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name == name
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.alias):
        return (node.asname or node.name) in (name, '*')
    # Other ways to set names are not examined.
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in ('exec', 'globals', 'setattr'):
            return True
    return any(_may_bind(child, name) for child in ast.iter_child_nodes(node))


# By class: the built-in plugin that it replaces.
_JOBS = {'RRDPlugin': 'rrd', 'RRDSummaryPlugin': 'rrdsummary'}

# Methods by which a derived class does something else.
_WRITING = {'notify', '_createRRD', '_updateRRD'}


def _replaced_by(plugin):
    """The built-in plugin that would write the files that this one writes; '' if there is none.

    It is gmetad-python's own, or derived from that and writes as that does, and its folder is
    gmetad's.
    """
    for kind in type(plugin).__mro__:
        if kind.__name__ in _JOBS:
            return _JOBS[kind.__name__] if _writes_here(plugin) else ''
        if not _WRITING.isdisjoint(vars(kind)):
            break
    return ''


def _writes_here(plugin):
    cfg = getattr(plugin, 'cfg', None)
    folder = cfg.get('rrd_rootdir') if isinstance(cfg, dict) else None
    if not isinstance(folder, str):
        # It reads the same section as gmetad.
        return True
    own = gmetad_config.getConfig()[gmetad_config.GmetadConfig.RRD_ROOTDIR]
    return os.path.realpath(folder) == os.path.realpath(own)


def _module(stem, path):
    known = sys.modules.get(stem)
    if known is not None:
        # Another plugin has already imported it.
        if os.path.realpath(getattr(known, '__file__', None) or '') == os.path.realpath(path):
            _owners[stem] = _gmetad.handle()
            return known
        stem = 'gmetad_plugins_dir_' + stem
    spec = importlib.util.spec_from_file_location(stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    _owners[stem] = _gmetad.handle()
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[stem]
        _log_traceback(error)
        raise Refused('it cannot be imported: ' + _in_short(error)) from None
    return module


def describe(error):
    """An exception as one line, for gmetad to log; logs the traceback."""
    if isinstance(error, Refused):
        return str(error)
    if not getattr(error, '_is_told', False):
        _log_traceback(error)
    return _in_short(error)


def _in_short(error):
    """The exception's own line, and where it was raised."""
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    short = ''.join(told.format_exception_only()).strip().splitlines()
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        where = os.path.basename(error.filename)
        return '%s (%s, line %d)' % (short[-1], where, error.lineno)
    frames = [frame for frame in told.stack if not frame.filename.startswith('<')]
    if not frames:
        return short[-1]
    where = frames[-1]
    return '%s (%s, line %d)' % (short[-1], os.path.basename(where.filename), where.lineno)


def _log_traceback(error):
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    # From the plugin's own code on.
    while told.stack and told.stack[0].filename.startswith('<'):
        del told.stack[0]
    _log(ERROR, ''.join(told.format()))


def _log(level, text):
    owner = _owner()
    for line in text.splitlines():
        if line.strip():
            # A log line cannot contain half of a surrogate pair.
            _gmetad.log(level, line.encode('utf-8', 'replace').decode('utf-8'), owner)


def _owner():
    """The plugin whose code runs on this thread."""
    frame = sys._getframe()
    while frame is not None:
        owner = _owners.get(frame.f_globals.get('__name__'))
        if owner is not None:
            return owner
        frame = frame.f_back
    return 0


class _Stream:
    """Standard output or error, as whole log lines."""

    encoding = 'utf-8'
    errors = 'replace'
    closed = False

    def __init__(self, level):
        self._level = level
        # Threads must not write into each other's lines.
        self._begun = threading.local()

    def write(self, text):
        whole, newline, rest = text.rpartition('\n')
        if newline:
            _log(self._level, self._take() + whole)
        self._begun.text = getattr(self._begun, 'text', '') + rest
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def _take(self):
        begun = getattr(self._begun, 'text', '')
        self._begun.text = ''
        return begun

    def finish(self):
        _log(self._level, self._take())

    def flush(self):
        """Does not end the line, so that print(…, end='', flush=True) continues it."""

    def isatty(self):
        return False

    def readable(self):
        return False

    def writable(self):
        return True

    def seekable(self):
        return False

    def fileno(self):
        raise OSError('printed text goes to the log, which is not a file')


class _Handler(logging.Handler):
    """Sends Python's logging to gmetad's log."""

    def emit(self, record):
        try:
            if record.levelno >= logging.CRITICAL:
                level = 1
            elif record.levelno >= logging.ERROR:
                level = ERROR
            elif record.levelno >= logging.WARNING:
                level = WARNING
            elif record.levelno >= logging.INFO:
                level = INFO
            else:
                level = DEBUG
            _log(level, self.format(record))
        except Exception:
            self.handleError(record)


_exit_for_good = os._exit
_gmetads_process = os.getpid()


def _exit(status):
    """In place of os._exit, which would end gmetad; a child that a plugin has forked may."""
    if os.getpid() != _gmetads_process:
        _exit_for_good(status)
    reason = 'os._exit was called, which would end gmetad'
    # On a thread of Python's own, nobody else tells of the exception.
    _log(ERROR, reason + '; it is refused')
    raise SystemExit(reason)


def _set_up():
    # No __pycache__ in a directory that is not ours.
    sys.dont_write_bytecode = True
    sys.argv = ['gmetad']
    os._exit = _exit
    posix._exit = _exit
    sys.stdout = _Stream(INFO)
    sys.stderr = _Stream(WARNING)
    for name, module in list(sys.modules.items()):
        package, _, name = name.partition('.')
        if package == 'Gmetad' and name:
            setattr(Gmetad, name, module)
    root = logging.getLogger()
    root.addHandler(_Handler())
    # gmetad decides which levels are logged, and may change that while it runs.
    root.setLevel(logging.DEBUG)


_set_up()
