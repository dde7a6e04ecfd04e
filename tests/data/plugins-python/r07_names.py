# Names that are there although few plugins use them.
import Gmetad.gmetad_plugin as p
from Gmetad.gmetad_config import getConfig, GmetadConfig
from Gmetad.gmetad_plugin import GmetadPlugin
def get_plugin(): return P('r07')
class P(GmetadPlugin):
    def start(self):
        c = getConfig()
        for name, f in (('_plugins', lambda: p._plugins), ('VERSION', lambda: GmetadConfig.VERSION), ('DAEMONIZE', lambda: c[GmetadConfig.DAEMONIZE]),
                  ('PIDFILE', lambda: c[GmetadConfig.PIDFILE]), ('sections', lambda: sorted(c.sections)), ('path', lambda: c.path)):
            try: print('%s %r' % (name, f()))
            except Exception as e: print('%s %r' % (name, e))
    def stop(self): pass
    def notify(self, clusterNode): pass
