"""Stores a metric of its own beside the others, as third parties do over gmetad-python's class."""

from Gmetad.gmetad_element import Element
from rrd_plugin import RRDPlugin


def get_plugin():
    return Twice('rrd')


class Twice(RRDPlugin):
    def notify(self, clusterNode):
        if clusterNode.id != 'CLUSTER':
            return
        for hostNode in clusterNode:
            folder = self._folder(clusterNode.getAttr('name'), hostNode.getAttr('name'))
            value = float(hostNode['METRIC:m0'].getAttr('val')) * 2
            metricNode = Element('METRIC', {'name': 'm0_twice', 'val': '%g' % value})
            self._write(clusterNode, metricNode, folder + '/m0_twice.rrd')
