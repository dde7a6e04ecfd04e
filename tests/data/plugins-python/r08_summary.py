# Prints a key of the summary, and replaces the summary whole.
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r08')
class P(GmetadPlugin):
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode):
        print(sorted(clusterNode.summaryData['summary'])[:1])
        try:
            clusterNode.summaryData = {'summary': {}, 'hosts_up': 0, 'hosts_down': 0}; print('set')
        except Exception as e: print(repr(e))
