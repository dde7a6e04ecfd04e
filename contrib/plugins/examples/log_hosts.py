"""Logs how many hosts of each cluster are up, whenever that has changed."""

import logging

from Gmetad.gmetad_plugin import GmetadPlugin


def get_plugin():
    return LogHosts('log_hosts')


class LogHosts(GmetadPlugin):
    def __init__(self, cfgid):
        self.seen = {}
        GmetadPlugin.__init__(self, cfgid)

    def notify(self, clusterNode):
        if clusterNode.id != 'CLUSTER':
            return
        summary = clusterNode.getSummaryData()
        hosts = (summary['hosts_up'], summary['hosts_down'])
        name = clusterNode.getAttr('name')
        if self.seen.get(name) != hosts:
            self.seen[name] = hosts
            logging.error('%s: %d hosts up, %d down', name, *hosts)
