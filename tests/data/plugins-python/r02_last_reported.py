# Prints a number for each host.
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r02')
class P(GmetadPlugin):
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode):
        for host in clusterNode:
            print(host.lastReportedTime)
            host.lastReportedTime = int(host.getAttr('reported'))
