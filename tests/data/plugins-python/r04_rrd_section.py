# Reads the section rrd beside whoever else does.
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('rrd')
class P(GmetadPlugin):
    def _parseConfig(self, cfgdata): print(cfgdata)
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode): print(clusterNode)
