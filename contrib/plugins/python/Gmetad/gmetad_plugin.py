"""The base class of plugins."""

import logging

from Gmetad.gmetad_config import getConfig

# All loaded plugins, in the order of their files.
_plugins = []


class GmetadPlugin:
    """A plugin, called with every update."""

    def __init__(self, cfgid):
        """Takes the id of the plugin's section, and calls _parseConfig."""
        self.cfgid = cfgid
        self._parseConfig(getConfig().getSection(cfgid))

    def _parseConfig(self, cfgdata):
        """Gets the section's lines as [directive, raw value]; None if there is no such section."""

    def start(self):
        """Called once, before the first update."""

    def notify(self, clusterNode):
        """Called after each poll with the cluster or grid that was polled."""

    def stop(self):
        """Called once, after the last update."""


def notify_plugins(clusterNode):
    """Calls all plugins in Python with a plugin's own node; failures are logged."""
    for plugin in list(_plugins):
        try:
            plugin.notify(clusterNode)
        except Exception:
            logging.exception('notify of %s failed', type(plugin).__name__)
