"""The base of plugins."""

import logging

from Gmetad.gmetad_config import getConfig

# All that were loaded, in the order of their files.
_plugins = []


class GmetadPlugin:
    """Something that wants to see every update."""

    def __init__(self, cfgid):
        """Takes the id of the plugin's section, and has it read."""
        self.cfgid = cfgid
        self._parseConfig(getConfig().getSection(cfgid))

    def _parseConfig(self, cfgdata):
        """Takes the section's lines as [directive, raw value]; None if there is no such section."""

    def start(self):
        """Called once, before the first update."""

    def notify(self, clusterNode):
        """Called after each poll with the cluster or grid that it brought."""

    def stop(self):
        """Called once, after the last update."""


def notify_plugins(clusterNode):
    """Shows a node of a plugin's own to all plugins in Python; one that fails is logged."""
    for plugin in list(_plugins):
        try:
            plugin.notify(clusterNode)
        except Exception:
            logging.exception('notify of %s failed', type(plugin).__name__)
