"""Writes the metrics of hosts as gmetad-python's plugin of this name does, through rrdtool."""

import os
import subprocess

from Gmetad.gmetad_plugin import GmetadPlugin


def get_plugin():
    return RRDPlugin('rrd')


class RRDPlugin(GmetadPlugin):
    RRAS = 'RRAs'
    RRD_ROOTDIR = 'rrd_rootdir'

    def __init__(self, cfgid):
        self.cfg = {self.RRAS: ['RRA:AVERAGE:0.5:1:10'], self.RRD_ROOTDIR: '/nowhere'}
        GmetadPlugin.__init__(self, cfgid)

    def _parseConfig(self, cfgdata):
        for directive, value in cfgdata:
            if directive == self.RRD_ROOTDIR:
                self.cfg[self.RRD_ROOTDIR] = value.strip().strip('"')

    def _checkDir(self, folder):
        os.makedirs(folder, exist_ok=True)

    def _createRRD(self, clusterNode, metricNode, rrdPath, step, summary):
        sources = ['DS:sum:GAUGE:56:U:U'] + ['DS:num:GAUGE:56:U:U'] * summary
        self._rrdtool('create', rrdPath, '-b', '1000000000', '-s', str(step), *sources,
                      *self.cfg[self.RRAS])

    def _updateRRD(self, clusterNode, metricNode, rrdPath, summary):
        names = ('sum', 'num') if summary else ('val',)
        values = [str(metricNode.getAttr(name)) for name in names]
        self._rrdtool('update', rrdPath, ':'.join([clusterNode.getAttr('localtime')] + values))

    def _rrdtool(self, *words):
        subprocess.run(('rrdtool',) + words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _write(self, clusterNode, metricNode, rrdPath, summary=False):
        if not os.path.isfile(rrdPath):
            # No other writer has this step.
            self._createRRD(clusterNode, metricNode, rrdPath, 7, summary)
        self._updateRRD(clusterNode, metricNode, rrdPath, summary)

    def _folder(self, *names):
        folder = os.path.join(self.cfg[self.RRD_ROOTDIR], *names)
        self._checkDir(folder)
        return folder

    def start(self):
        pass

    def stop(self):
        pass

    def notify(self, clusterNode):
        if clusterNode.id != 'CLUSTER':
            return
        for hostNode in clusterNode:
            folder = self._folder(clusterNode.getAttr('name'), hostNode.getAttr('name'))
            for metricNode in hostNode:
                rrdPath = '%s/%s.rrd' % (folder, metricNode.getAttr('name'))
                self._write(clusterNode, metricNode, rrdPath)
