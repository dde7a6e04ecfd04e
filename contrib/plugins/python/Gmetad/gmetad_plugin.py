"""The base of plugins."""

from Gmetad.gmetad_config import getConfig


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
        """Called after each poll with a cluster or grid, and with the root grid when all are summed
        up."""

    def stop(self):
        """Called once, after the last update."""
