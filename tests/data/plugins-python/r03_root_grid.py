# Expects hosts in whatever notify is called with.
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r03')
class P(GmetadPlugin):
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode):
        first = [h.getAttr('name') for h in clusterNode][0]
        print('%s: %s' % (clusterNode, first))
