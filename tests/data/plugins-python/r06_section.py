# Prints the lines of its section.
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r06')
class P(GmetadPlugin):
    def _parseConfig(self, cfgdata): print(cfgdata)
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode): pass
