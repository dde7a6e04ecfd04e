"""Adds a metric to each host: how much of its memory is used, in percent.

    memory_used {
        metric mem_used_percent
    }
"""

from Gmetad.gmetad_element import Element
from Gmetad.gmetad_plugin import GmetadPlugin


def get_plugin():
    return MemoryUsed('memory_used')


class MemoryUsed(GmetadPlugin):
    metric = 'mem_used_percent'

    def _parseConfig(self, cfgdata):
        for directive, value in cfgdata or []:
            if directive == 'metric':
                self.metric = value.strip('"')

    def notify(self, clusterNode):
        for hostNode in clusterNode:
            try:
                total = float(hostNode['METRIC:mem_total'].getAttr('val'))
                free = float(hostNode['METRIC:mem_free'].getAttr('val'))
            except (KeyError, ValueError):
                continue
            if total > 0:
                metricNode = Element('METRIC', {
                    'name': self.metric,
                    'val': '%.1f' % (100 * (total - free) / total),
                    'type': 'float',
                    'units': '%',
                })
                hostNode[str(metricNode)] = metricNode
