"""gmetad.conf as it was read: directives by name, data sources, and the sections of plugins."""

import _gmetad


class GmetadDataSource:
    """A data_source: its name, its hosts as 'host:port', and its interval in seconds."""

    def __init__(self, name, hosts=['localhost'], interval=15):
        self.name = name
        self.hosts = hosts
        self.interval = interval
        # gmetad polls by itself, when it is time.
        self.time_to_next_read = 0


def _on(value):
    return value == 'on'


class GmetadConfig:
    """All of it; there is one, however often it is made."""

    # Of Ganglia, as gmetad's documents say it; gmetad's own is another.
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

    # Others are text, the level of the log among them.
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
        # What gmetad-python always has.
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
        """For other plugins in Python; gmetad itself goes by its file."""
        self.cfg[name] = value

    def __contains__(self, name):
        return name in self.cfg

    def getSection(self, id):
        """A section's lines as [directive, raw value], None where there is no such section; those
        without a value are left out."""
        return self.sections.get(id.lower())


def getConfig(args=None):
    """The configuration that gmetad runs by."""
    return GmetadConfig()
