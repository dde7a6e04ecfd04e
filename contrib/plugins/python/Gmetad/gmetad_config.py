"""The configuration: directives by name, data sources, and the sections of plugins."""

import _gmetad


class GmetadDataSource:
    """A data_source: its name, its hosts as 'host:port', and its interval in seconds."""

    def __init__(self, name, hosts=['localhost'], interval=15):
        self.name = name
        self.hosts = hosts
        self.interval = interval
        # gmetad itself polls, at its own time.
        self.time_to_next_read = 0


def _on(value):
    return value == 'on'


class GmetadConfig:
    """The whole configuration; all instances share their contents."""

    # Ganglia's version, as in gmetad's documents; gmetad's own differs.
    VERSION = '3.7.2'

    DEBUG_LEVEL = 'debug_level'
    DAEMONIZE = 'daemonize'
    LOGFILE = 'logfile'
    PIDFILE = 'pid_file'
    DATA_SOURCE = 'data_source'
    RRAS = 'RRAs'
    RRD_ROOTDIR = 'rrd_rootdir'
    SCALABLE = 'scalable'
    GRIDNAME = 'gridname'
    AUTHORITY = 'authority'
    TRUSTED_HOSTS = 'trusted_hosts'
    ALL_TRUSTED = 'all_trusted'
    SETUID = 'setuid'
    SETUID_USERNAME = 'setuid_username'
    XML_PORT = 'xml_port'
    INTERACTIVE_PORT = 'interactive_port'
    SERVER_THREADS = 'server_threads'
    PLUGINS_DIR = 'plugins_dir'

    # All others are strings, including debug_level.
    _meanings = {
        DAEMONIZE: _on,
        XML_PORT: int,
        INTERACTIVE_PORT: int,
        SCALABLE: _on,
        ALL_TRUSTED: _on,
        SETUID: _on,
        TRUSTED_HOSTS: str.split,
    }

    _shared_state = {}

    def __init__(self, cfgpath=None):
        self.__dict__ = GmetadConfig._shared_state
        if 'cfg' not in self.__dict__:
            # By id in lower case; each is a list of [directive, raw value].
            self.sections = {}
            for id, lines in _gmetad.sections():
                known = self.sections.setdefault(id.lower(), [])
                known.extend(list(line) for line in lines if line[1])
            self.cfg = self._read()
            self.path = self.cfg.pop('conf', None)

    def _read(self):
        # Keys that gmetad-python always has.
        found = {
            self.LOGFILE: None,
            self.PIDFILE: None,
            self.TRUSTED_HOSTS: [],
            self.SETUID_USERNAME: 'nobody',
            self.SERVER_THREADS: 4,
            self.RRAS: [],
            self.PLUGINS_DIR: None,
        }
        for name, value in _gmetad.settings():
            if name == 'rras':
                found[self.RRAS].append(value)
            else:
                found[name] = self._meanings.get(name, str)(value)
        found[self.DATA_SOURCE] = [
            GmetadDataSource(name, hosts, int(interval) if interval == int(interval) else interval)
            for name, hosts, interval in _gmetad.sources()
        ]
        return found

    def __getitem__(self, name):
        return self.cfg[name]

    def __setitem__(self, name, value):
        """Sets a value for the other plugins in Python; gmetad itself ignores it."""
        self.cfg[name] = value

    def __contains__(self, name):
        return name in self.cfg

    def getSection(self, id):
        """The lines of a section as [directive, raw value], without those that have no value; None if
        there is no such section."""
        return self.sections.get(id.lower())


def getConfig(args=None):
    """The configuration of the running gmetad."""
    return GmetadConfig()
