# Prints GANGLIA_XML and what is in its grid; the lock works.
from Gmetad.gmetad_data import DataStore
from Gmetad.gmetad_random import getRandomInterval
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r01')
class P(GmetadPlugin):
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode):
        ds = DataStore()
        ds.acquireLock(self)
        print('%s %s' % (ds.rootElement, [str(c) for g in ds.rootElement for c in g]))
        ds.releaseLock(self)
