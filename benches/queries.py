#!/usr/bin/env python3
"""How long a query takes, quiet and beside ten sources that bring as much as they can.

    benches/queries.py GMETAD WHAT COUNT SECONDS

WHAT is names (one host of so many ever-new metrics), clusters (so many ever-new clusters) or hosts. The ten
sources are polled every second, so that the loop is never idle; quiet, they bring one value each. A host of
33 values of another source is asked for every 2 ms. Quiet and busy times take turns. As root, gmetad and who
asks have real-time priority, so that other work on the machine changes little; REALTIME=0 leaves that.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCES = 10
REALTIME = os.geteuid() == 0 and os.environ.get('REALTIME') != '0'
HEAD = '<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond">'


def cluster(name, hosts):
    return '<CLUSTER NAME="%s" LOCALTIME="%d">%s</CLUSTER>' % (name, time.time(), hosts)


def host(name, names):
    metric = ('<METRIC NAME="%s" VAL="1" TYPE="float" UNITS="" TN="1" TMAX="60" DMAX="0" '
              'SLOPE="both"/>')
    metrics = ''.join(metric % name for name in names)
    return '<HOST NAME="%s" IP="10.0.0.1" TN="1" TMAX="20" DMAX="0">%s</HOST>' % (name, metrics)


def document(what, count, source, version):
    own = '%d.%d' % (source, version)
    if what == 'clusters':
        inside = ''.join(cluster('c%s.%d' % (own, at), host('h', ['m'])) for at in range(count))
    elif what == 'hosts':
        hosts = (host('h%s.%d' % (own, at), ['a', 'b']) for at in range(count))
        inside = cluster('c%d' % source, ''.join(hosts))
    else:
        names = ('m%s.%d' % (own, at) for at in range(count))
        inside = cluster('c%d' % source, host('h', names))
    return (HEAD + inside + '</GANGLIA_XML>').encode()


class Source:
    """Serves one document after the other."""

    def __init__(self, documents):
        self.documents = documents
        self.polls = 0
        self.listener = socket.create_server(('127.0.0.1', 0))
        threading.Thread(target=self.run, daemon=True).start()

    def port(self):
        return self.listener.getsockname()[1]

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            self.polls += 1
            try:
                peer.sendall(self.documents[self.polls % len(self.documents)])
            except OSError:
                pass
            peer.close()


def first(priority):
    if REALTIME:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


def ask(port, seconds):
    """In a process of its own: this one's threads would hold it up."""
    first(3)
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start, length = time.monotonic(), 0
        with socket.create_connection(('127.0.0.1', port)) as peer:
            peer.sendall(b'/asked/q7\n')
            while part := peer.recv(1 << 16):
                length += len(part)
        times.append(1000 * (time.monotonic() - start))
        assert length > 1000, length
        time.sleep(0.002)
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
    print('%6d queries, p50 %.3f, p90 %.3f, p99 %.3f, longest %.3f ms'
          % (len(times), at(0.5), at(0.9), at(0.99), times[-1]), flush=True)


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def main(program, what, count, seconds):
    busy = [[document(what, count, source, version) for version in range(2)]
            for source in range(SOURCES)]
    quiet = [[document('names', 1, source, 0)] for source in range(SOURCES)]
    sources = [Source(documents) for documents in quiet]
    hosts = (host('q%d' % at, ['m%d' % name for name in range(33)]) for at in range(100))
    asked = Source([(HEAD + cluster('asked', ''.join(hosts)) + '</GANGLIA_XML>').encode()])
    port = free_port()
    lines = ['setuid off', 'write_rrds off', 'xml_port %d' % free_port(),
             'interactive_port %d' % port, 'data_source asked 15 127.0.0.1:%d' % asked.port()]
    lines += ['data_source s%d 1 127.0.0.1:%d' % (at, source.port())
              for at, source in enumerate(sources)]
    with tempfile.TemporaryDirectory() as folder:
        conf = os.path.join(folder, 'gmetad.conf')
        with open(conf, 'w') as file:
            file.write('\n'.join(lines) + '\n')
        gmetad = subprocess.Popen([program, '-f', '-c', conf], stderr=subprocess.DEVNULL,
                                  preexec_fn=lambda: first(2))
        try:
            time.sleep(5)
            for _ in range(2):
                for name, documents in (('quiet', quiet), ('busy', busy)):
                    for source, its in zip(sources, documents):
                        source.documents = its
                    time.sleep(3)
                    before = sum(source.polls for source in sources)
                    print('%-5s' % name, end=' ', flush=True)
                    subprocess.run([sys.executable, __file__, '--ask', str(port), str(seconds)],
                                   check=True)
                    print('      %d polls' % (sum(source.polls for source in sources) - before))
        finally:
            gmetad.terminate()
            gmetad.wait()


if sys.argv[1:2] == ['--ask']:
    ask(int(sys.argv[2]), float(sys.argv[3]))
elif len(sys.argv) == 5:
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
else:
    sys.exit(__doc__)
