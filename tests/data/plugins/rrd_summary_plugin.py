"""Writes the sums of clusters as gmetad-python's plugin of this name does, through rrdtool."""

from rrd_plugin import RRDPlugin


def get_plugin():
    return RRDSummaryPlugin('rrdsummary')


class RRDSummaryPlugin(RRDPlugin):
    def __init__(self, cfgid):
        RRDPlugin.__init__(self, 'RRD')

    def notify(self, clusterNode):
        if clusterNode.id != 'CLUSTER':
            return
        folder = self._folder(clusterNode.getAttr('name'), '__SummaryInfo__')
        for metricNode in clusterNode.summaryData['summary'].values():
            rrdPath = '%s/%s.rrd' % (folder, metricNode.getAttr('name'))
            self._write(clusterNode, metricNode, rrdPath, True)
