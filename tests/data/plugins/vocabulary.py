"""Every name that plugins of gmetad-python use, each checked, over the tests' cluster of two hosts."""

import copy
import logging
import threading

from Gmetad.gmetad_config import GmetadConfig, GmetadDataSource, getConfig
from Gmetad.gmetad_data import DataStore
from Gmetad.gmetad_element import Element
from Gmetad.gmetad_plugin import GmetadPlugin


def get_plugin():
    return Vocabulary('Words')


class Vocabulary(GmetadPlugin):
    LIMIT = 'limit'

    _cfgDefaults = {LIMIT: 1}

    def __init__(self, cfgid):
        self.cfg = dict(Vocabulary._cfgDefaults)
        self.kwHandlers = {Vocabulary.LIMIT: self._parseLimit}
        self.kept = None
        GmetadPlugin.__init__(self, cfgid)

    def _parseConfig(self, cfgdata):
        self.lines = cfgdata
        for kw, args in cfgdata or []:
            if kw.lower() in self.kwHandlers:
                self.kwHandlers[kw.lower()](args)

    def _parseLimit(self, arg):
        self.cfg[Vocabulary.LIMIT] = int(arg.strip().strip('"'))

    def start(self):
        assert self.cfgid == 'Words'
        assert self.lines == [['limit', '"7"'], ['Other', 'a "b c"']], self.lines
        assert self.cfg[Vocabulary.LIMIT] == 7
        config = getConfig()
        assert isinstance(config, GmetadConfig)
        assert config[GmetadConfig.GRIDNAME] == 'the grid'
        assert config[GmetadConfig.SCALABLE] is True
        assert config[GmetadConfig.XML_PORT] == 0
        assert config[GmetadConfig.AUTHORITY].startswith('http://')
        assert config.getSection('WORDS') == self.lines
        assert config.getSection('nothing') is None
        (source,) = config[GmetadConfig.DATA_SOURCE]
        assert isinstance(source, GmetadDataSource)
        assert (source.name, source.interval) == ('fake', 1)
        assert source.hosts[0].startswith('127.0.0.1:')
        thread = threading.Thread(target=lambda: print('said by a thread'))
        thread.start()
        thread.join()
        print('start is sound')

    def stop(self):
        print('stop is sound')

    def notify(self, clusterNode):
        assert isinstance(clusterNode, Element)
        assert clusterNode.id == 'CLUSTER'
        self.grid()
        self.read(clusterNode)
        self.sums(clusterNode)
        self.change(clusterNode)
        self.stale(clusterNode)
        logging.info('the %s is sound', 'cluster')

    def grid(self):
        (gridNode,) = DataStore().rootElement
        assert str(gridNode) == 'GRID:the grid'
        assert [str(node) for node in gridNode] == ['CLUSTER:web']
        if gridNode.getSummaryData() is not None:
            assert gridNode.getSummaryData()['hosts_up'] == 2
            print('the grid is sound')

    def read(self, clusterNode):
        assert (clusterNode.id, clusterNode.tag, str(clusterNode)) == ('CLUSTER', 'CLUSTER', 'CLUSTER:web')
        assert clusterNode.getAttr('status') == 'up'
        assert [str(hostNode) for hostNode in clusterNode] == ['HOST:h0', 'HOST:h1']
        assert sorted(clusterNode.children) == ['HOST:h0', 'HOST:h1']
        assert len(clusterNode.children) == 2
        hostNode = clusterNode['HOST:h1']
        assert hostNode == clusterNode.children['HOST:h1'] == list(clusterNode)[1]
        assert hostNode.getAttr('IP') == hostNode.attrs['ip'] == '192.0.2.1'
        assert hostNode.getAttr('nothing') is None
        assert hostNode.getSummaryData() is None
        for key in ('HOST:h9', 'METRIC:m0', 'nothing'):
            assert key not in clusterNode.children
            try:
                clusterNode[key]
            except KeyError:
                continue
            raise AssertionError(key)
        for metricNode in hostNode:
            assert metricNode.id == 'METRIC'
            assert hostNode[Element.generateKey([metricNode.id, metricNode.getAttr('name')])] == metricNode
            assert metricNode.generateKey([metricNode.id, 'm0']) == 'METRIC:m0'
            assert metricNode.getAttrs()['type'] == metricNode.getAttr('type') == 'float'
            assert list(metricNode.attrs)[:3] == ['name', 'val', 'type']
        (extra,) = hostNode['METRIC:m0']['EXTRA_DATA']
        assert (str(extra), extra.getAttr('val')) == ('EXTRA_ELEMENT:GROUP', 'tests')

    def sums(self, clusterNode):
        data = clusterNode.summaryData
        assert (data['hosts_up'], data['hosts_down']) == (2, 0)
        assert sorted(data['summary']) == ['METRIC:m0', 'METRIC:m1', 'METRIC:m2']
        for metricNode in data['summary'].values():
            assert (metricNode.id, metricNode.tag, metricNode.getAttr('num')) == ('METRIC', 'METRICS', 2)
            assert isinstance(metricNode.getAttr('sum'), float)
        assert data['summary']['METRIC:m1'].getAttr('sum') == 3.0
        data['summary']['METRIC:m1'].incAttr('sum', 0.5)
        data['summary']['METRIC:m1'].incAttr('num', 1)
        assert data['summary']['METRIC:m1'].getAttr('sum') == 3.5
        assert data['summary']['METRIC:m1'].getAttr('num') == 3
        data['hosts_down'] = 4
        assert clusterNode.getSummaryData()['hosts_down'] == 4

    def change(self, clusterNode):
        hostNode = clusterNode['HOST:h0']
        metricNode = hostNode['METRIC:m1']
        metricNode.setAttr('VAL', 40)
        metricNode.incAttr('val', 2)
        assert metricNode.attrs['val'] == 42
        metricNode.attrs['units'] = 'apples'
        assert hostNode['METRIC:m1'].getAttr('units') == 'apples'
        metricNode.setAttr('remark', 'made up')
        assert metricNode.getAttrs()['remark'] == 'made up'

        made = Element('METRIC', {'NAME': 'made', 'VAL': 1.5})
        made['EXTRA_DATA'] = Element('EXTRA_DATA', {})
        made['EXTRA_DATA']['EXTRA_ELEMENT:GROUP'] = Element('EXTRA_ELEMENT', {'NAME': 'GROUP', 'VAL': 'new'})
        hostNode[str(made)] = made
        made.setAttr('val', 2.5)
        assert hostNode['METRIC:made'].getAttr('val') == 2.5
        (extra,) = hostNode['METRIC:made']['EXTRA_DATA']
        assert extra.getAttr('val') == 'new'
        # One of that key takes the other's values.
        hostNode['METRIC:made'] = Element('METRIC', {'name': 'made', 'val': 3.5})
        assert made.getAttr('val') == 3.5
        assert len(hostNode.children) == 4

        copied = copy.deepcopy(hostNode)
        del hostNode.children['METRIC:m2']
        assert 'METRIC:m2' not in hostNode.children
        assert 'METRIC:m2' in copied.children
        copied.setAttr('name', 'copied')
        clusterNode['HOST:copied'] = copied
        assert [str(it) for it in clusterNode] == ['HOST:h0', 'HOST:h1', 'HOST:copied']
        assert clusterNode['HOST:copied']['METRIC:m2'].getAttr('val') == '2'

        total = metricNode.summaryCopy(tag='METRICS')
        assert (total.getAttr('sum'), total.getAttr('num'), total.tag) == (0, 0, 'METRICS')

    def stale(self, clusterNode):
        if self.kept is not None:
            assert self.kept.getAttr('ip') == '192.0.2.0'
            assert self.kept['METRIC:m1'].getAttr('val') == 42
        self.kept = clusterNode['HOST:h0']
        said = []

        def elsewhere():
            said.append(self.kept.getAttr('name'))
            said.append(len(self.kept['METRIC:m0'].children))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert said == ['h0', 1], said
