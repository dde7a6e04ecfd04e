# Takes nodes for dictionaries and objects.
import json
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r05')
def tried(f):
    try: return f()
    except Exception as e: return repr(e)
class P(GmetadPlugin):
    def start(self): pass
    def stop(self): pass
    def notify(self, clusterNode):
        for host in clusterNode:
            print(tried(lambda: json.dumps(host.getAttrs())[:20]))
            print(tried(lambda: host.getAttrs().copy() is not None))
            print(tried(lambda: host.children.copy() is not None))
            print(tried(lambda: host.getAttrs().pop('tags')))
            host.seen = 1
            print(tried(lambda: clusterNode[str(host)].seen))
            host.setAttr('n', 1)
            print(tried(lambda: host.getAttr('n') + 1))
            return
