#!/usr/bin/env python3
"""What pages and Graphite's API cost, over files with an hour of values.

First the processor time, bytes and time of each page, beside ganglia-web and graphite-web over the same
files, and Prometheus, where they are installed; then memory and latency while 20 people reload pages.

Usage: benches/pages.py [GMETAD [FARM]]. Needs rrdtool. Every figure of a page is the median and the least
of 20. ganglia-web needs php and its package, installed or unpacked:

    apt-get install --no-install-recommends php-cli php-xml
    apt-get download ganglia-webfrontend; dpkg -x ganglia-webfrontend_*.deb FOLDER
    GANGLIA_WEB=FOLDER/usr/share/ganglia-webfrontend benches/pages.py
"""

import contextlib
import math
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

GMETAD = sys.argv[1] if len(sys.argv) > 1 else "target/release/gmetad"
FARM = sys.argv[2] if len(sys.argv) > 2 else "target/release/examples/farm"
GANGLIA_WEB = os.environ.get("GANGLIA_WEB", "/usr/share/ganglia-webfrontend")
ROUNDS = 20
CLUSTER = "farm-0000"
CONF = """setuid off
bind_address 127.0.0.1
xml_port 0
interactive_port 0
rrd_rootdir {folder}/rrds
RRAs RRA:AVERAGE:0.5:1:244
"""
SERIES = f"{CLUSTER}.HOST_NODE.load_one"
# What is asked for, and the most that it may cost: CPU, and time to the last byte, in ms; bytes.
PAGES = {
    100: [
        ("cluster, a graph in each row", f"ui/cluster?c={CLUSTER}", (30, None, None)),
        ("cluster, small graphs", f"ui/cluster?c={CLUSTER}&v=graphs", (30, None, None)),
        ("grid", "ui/", (None, None, None)),
        ("host, all metrics", f"ui/host?c={CLUSTER}&h=HOST", (None, 15, None)),
        ("a report", f"ui/graph.svg?c={CLUSTER}&g=load_report", (None, None, None)),
        ("one series, an hour, SVG", f"ui/graph.svg?c={CLUSTER}&h=HOST&m=load_one", (0.3, None, None)),
        ("one series, an hour, render", f"graphite/render?target={SERIES}&from=-1h", (0.3, None, None)),
    ],
    1000: [
        ("cluster, first page", f"ui/cluster?c={CLUSTER}", (None, None, None)),
        (
            "one metric of all hosts",
            f"ui/cluster?c={CLUSTER}&n=1000&v=graphs&m=load_one",
            (None, 100, None),
        ),
        ("their average", f"ui/metric?c={CLUSTER}&m=load_one&f=.&style=average", (None, None, None)),
    ],
    10000: [("cluster, first page", f"ui/cluster?c={CLUSTER}", (None, 100, 500_000))],
}
# The same at the peers, whose answers are plain requests of their own.
GRAPHITE_PAGES = [("one series, an hour, render", f"render?target={SERIES}.sum&from=-1h&format=json")]
PEOPLE = 20
PAUSE_S = 1.0
# Turns of quiet and reloading, and how long each is.
TURNS = 6
TURN_S = 15


def template(path, fields, values):
    """A file with a value every 15 s for an hour."""
    end = int(time.time()) - 15
    start = end - 3700
    sources = [f"DS:{name}:GAUGE:120:U:U" for name in fields]
    create = ["rrdtool", "create", path, "--start", str(start), "--step", "15", *sources]
    subprocess.check_call([*create, "RRA:AVERAGE:0.5:1:244"])
    times = range(start + 15, end, 15)
    rows = [":".join([str(at), *values(at)]) for at in times]
    subprocess.check_call(["rrdtool", "update", path, *rows])


def fill(folder, ports):
    """Files for all hosts of the farm; of very many, those that their first page reads. Returns a host."""
    value = lambda at: f"{50 + 20 * math.sin(at / 300) + at * 7919 % 97 / 10:.3f}"
    template(f"{folder}/host.rrd", ["sum"], lambda at: [value(at)])
    template(f"{folder}/sums.rrd", ["sum", "num"], lambda at: [value(at), "100"])
    root = f"{folder}/rrds"
    hosts = []
    for port in ports:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            pieces = iter(lambda: connection.recv(1 << 20), b"")
            document = b"".join(pieces).decode("latin-1")
        cluster = re.search(r'<CLUSTER NAME="([^"]+)"', document)[1]
        hosts = re.findall(r'<HOST NAME="([^"]+)"', document)
        number = r'<METRIC NAME="([^"]+)"[^>]*TYPE="(?:float|double|u?int\d+)"'
        metrics = re.findall(number, document.split("</HOST>")[0])
        places = [(f"{root}/{cluster}/{host}", "host.rrd") for host in hosts]
        places += [(f"{root}/{below}__SummaryInfo__", "sums.rrd") for below in ("", f"{cluster}/")]
        for place, source in places:
            os.makedirs(place, exist_ok=True)
            few = len(hosts) > 1000 and source == "host.rrd"
            for metric in ["load_one"] if few else metrics:
                shutil.copyfile(f"{folder}/{source}", f"{place}/{metric}.rrd")
    return hosts[0]


def cpu_ms(pid):
    """Processor time of all threads so far."""
    tasks = f"/proc/{pid}/task"
    used = 0
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
            used += int(file.read().split()[0])
    return used / 1e6


def cpu_with_children_ms(pid):
    """Processor time of a process and of all that it has started, in the system's ticks."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    own = sum(int(ticks) for ticks in fields[11:15]) * 1000 / os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return own + sum(cpu_with_children_ms(int(child)) for child in file.read().split())


def text(url):
    return urllib.request.urlopen(url).read().decode()


@contextlib.contextmanager
def running(command, **more):
    process = subprocess.Popen(command, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def served(folder, clusters, hosts, interval):
    """A farm, files for it and gmetad over both: a host, gmetad's address and its process."""
    conf = f"{folder}/sources"
    options = ["--clusters", str(clusters), "--hosts", str(hosts), "--interval", str(interval)]
    with running([FARM, *options, "--conf", conf], stderr=subprocess.DEVNULL):
        while not os.path.exists(conf) or not os.path.getsize(conf):
            time.sleep(0.1)
        with open(conf, encoding="ascii") as file:
            sources = file.read()
        host = fill(folder, [int(port) for port in re.findall(r":(\d+)", sources)])
        with open(f"{folder}/gmetad.conf", "w", encoding="ascii") as file:
            file.write(CONF.format(folder=folder) + sources)
        with open(f"{folder}/log", "w", encoding="ascii") as log:
            command = [GMETAD, "-f", "-c", f"{folder}/gmetad.conf"]
            with running(command, stderr=log) as gmetad:
                port = None
                while port is None:
                    time.sleep(0.1)
                    with open(f"{folder}/log", encoding="utf-8") as log_so_far:
                        port = re.search(r"interactive \S+:(\d+)\n", log_so_far.read())
                base = f"http://127.0.0.1:{port[1]}/"
                # All sources have answered before anything is measured.
                silent = re.compile(r'polls_total{.*result="ok"} 0$', re.MULTILINE)
                while silent.search(text(f"{base}metrics")):
                    time.sleep(0.5)
                yield host, base, gmetad


def settled(pid):
    """Waits until the process has little to do."""
    before = -1.0
    while cpu_ms(pid) - before > 20:
        before = cpu_ms(pid)
        time.sleep(2)


def measure(base, pid, name, page, most=(None, None, None), cpu=cpu_ms):
    used, took, size = [], [], 0
    for at in range(ROUNDS + 1):
        before, start = cpu(pid), time.time()
        size = len(urllib.request.urlopen(base + page).read())
        duration = (time.time() - start) * 1e3
        # The last thread may still be at work for a moment.
        time.sleep(0.01)
        # The first reads files that are not in memory yet.
        if at > 0:
            used.append(cpu(pid) - before)
            took.append(duration)
    columns = [f"{size / 1000:.0f} KB"]
    if cpu is cpu_ms:
        columns.append(f"{statistics.median(used):.2f} ({min(used):.2f}) ms")
    else:
        # Ticks are too long for one page.
        columns.append(f"{statistics.mean(used):.0f} ms (mean)")
    columns.append(f"{statistics.median(took):.1f} ({min(took):.1f}) ms")
    units = [(most[0], "ms CPU"), (most[1], "ms"), (most[2] and most[2] // 1000, "KB")]
    columns.append(", ".join(f"{bound} {unit}" for bound, unit in units if bound))
    print(f"| {name} | {' | '.join(columns)} |", flush=True)


def pages(count, folder):
    with served(folder, 1, count, 600) as (host, base, gmetad):
        settled(gmetad.pid)
        node = host.replace(".", "_")
        for name, page, most in PAGES[count]:
            page = page.replace("HOST_NODE", node).replace("HOST", host)
            measure(base, gmetad.pid, f"{count} hosts: {name}", page, most)
        if count == 100:
            prometheus(folder)
            graphite_web(folder, node)
            ganglia_web(folder, base, host)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for_port(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)


GRAPHITE_SETTINGS = """SECRET_KEY = 'x'
CONF_DIR = STORAGE_DIR = '{place}'
WHISPER_DIR = LOG_DIR = '{place}'
RRD_DIR = '{folder}/rrds'
STANDARD_DIRS = [RRD_DIR]
INDEX_FILE = '{place}/index'
LOG_ROTATION = False
DATABASES = {{'default': {{'NAME': '{place}/db', 'ENGINE': 'django.db.backends.sqlite3', 'USER': '',
    'PASSWORD': '', 'HOST': '', 'PORT': ''}}}}
TIME_ZONE = 'UTC'
CARBONLINK_HOSTS = []
"""


def graphite_web(folder, node):
    """graphite-web over the same files. Its host is a folder without dots."""
    python = "/usr/bin/python3"
    there = subprocess.run([python, "-c", "import graphite, rrdtool"], capture_output=True, check=False)
    if there.returncode != 0 or not shutil.which("gunicorn"):
        print("SKIPPED: graphite-web, python3-rrdtool or gunicorn is not installed", file=sys.stderr)
        return
    place = f"{folder}/graphite"
    os.makedirs(place)
    cluster = f"{folder}/rrds/{CLUSTER}"
    os.symlink(f"{cluster}/{node.replace('_', '.')}", f"{cluster}/{node}")
    with open(f"{place}/our_settings.py", "w", encoding="ascii") as file:
        file.write(GRAPHITE_SETTINGS.format(place=place, folder=folder))
    known = dict(os.environ, PYTHONPATH=f"{place}:/usr/share/graphite-web")
    known.update(GRAPHITE_SETTINGS_MODULE="our_settings", DJANGO_SETTINGS_MODULE="graphite.settings")
    migrate = [python, "-m", "django", "migrate", "--run-syncdb"]
    subprocess.run(migrate, env=known, capture_output=True, check=True)
    port = free_port()
    command = ["gunicorn", "-b", f"127.0.0.1:{port}", "graphite.wsgi"]
    with running(command, env=known, stderr=subprocess.DEVNULL) as gunicorn:
        wait_for_port(port)
        for name, page in GRAPHITE_PAGES:
            page = page.replace("HOST_NODE", node)
            base = f"http://127.0.0.1:{port}/"
            name = f"graphite-web: {name}"
            measure(base, gunicorn.pid, name, page, cpu=cpu_with_children_ms)


def prometheus(folder):
    """Prometheus, asked for the same hour of one of 100 hosts."""
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        print("SKIPPED: prometheus is not installed", file=sys.stderr)
        return
    place = f"{folder}/prometheus"
    os.makedirs(place)
    end = int(time.time()) // 15 * 15 - 15
    with open(f"{place}/values", "w", encoding="ascii") as file:
        file.write("# TYPE load_one gauge\n")
        for host in range(100):
            for at in range(end - 3600, end, 15):
                value = 50 + 20 * math.sin(at / 300) + at * 7919 % 97 / 10
                file.write(f'load_one{{host="node{host}"}} {value:.3f} {at}\n')
        file.write("# EOF\n")
    with open(f"{place}/prometheus.yml", "w", encoding="ascii") as file:
        file.write("global: {}\n")
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", f"{place}/values", f"{place}/data"]
    subprocess.run(blocks, capture_output=True, check=True)
    port = free_port()
    command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with running(command) as server:
        wait_for_port(port)
        settled(server.pid)
        page = f'api/v1/query_range?query=load_one{{host="node7"}}&start={end - 3600}&end={end}&step=15'
        measure(f"http://127.0.0.1:{port}/", server.pid, "Prometheus: one series, an hour", page)


# What PHP 8 has no more.
EACH = """<?php
function each(&$all) {
    $key = key($all);
    if ($key === null) { return false; }
    $value = current($all);
    next($all);
    return [1 => $value, 'value' => $value, 0 => $key, 'key' => $key];
}
"""
# What PHP 8 takes for an error, and how it is let pass, as older ones did: file, expression, replacement.
FOR_PHP_8 = [
    (
        "lib/common_api.php",
        r"(function ganglia_api_error_handler *)\([^)]*\)\s*{",
        r"\1() { return true;",
    ),
    ("ganglia.php", r"in_array\(([^,]+), *(\$\w+)\)", r"in_array(\1, (array) \2)"),
]
GANGLIA_CONF = """<?php
$conf['gweb_confdir'] = '{place}';
$conf['rrds'] = '{folder}/rrds';
$conf['dwoo_compiled_dir'] = $conf['dwoo_cache_dir'] = '{place}/dwoo';
$conf['views_dir'] = $conf['conf_dir'] = '{place}/conf';
$conf['ganglia_ip'] = '127.0.0.1';
$conf['ganglia_port'] = {port};
$conf['cachefile'] = '{place}/cache';
$conf['auth_system'] = 'disabled';
?>
"""
GANGLIA_PAGES = [
    ("cluster, without its graphs", f"?c={CLUSTER}&r=hour"),
    ("one of its 104 graphs", f"graph.php?c={CLUSTER}&h=HOST&m=load_one&r=hour&z=small"),
]


def ganglia_web(folder, base, host):
    """ganglia-web over the same files and the same gmetad, served by PHP's own server."""
    if not os.path.exists(f"{GANGLIA_WEB}/graph.php") or not shutil.which("php"):
        print("SKIPPED: ganglia-web or php is not installed; see the head of this file", file=sys.stderr)
        return
    place = f"{folder}/ganglia"
    shutil.copytree(GANGLIA_WEB, f"{place}/site", ignore_dangling_symlinks=True)
    for name in ("dwoo", "conf"):
        os.makedirs(f"{place}/{name}")
    with open(f"{place}/each.php", "w", encoding="ascii") as file:
        file.write(EACH)
    for name, old, new in FOR_PHP_8:
        with open(f"{place}/site/{name}", encoding="utf-8") as file:
            source = file.read()
        with open(f"{place}/site/{name}", "w", encoding="utf-8") as file:
            file.write(re.sub(old, new, source))
    with open(f"{place}/site/conf.php", "w", encoding="ascii") as file:
        port = re.search(r":(\d+)/", base)[1]
        file.write(GANGLIA_CONF.format(place=place, folder=folder, port=port))
    port = free_port()
    command = ["php", "-d", f"auto_prepend_file={place}/each.php", "-d", "display_errors=0"]
    command += ["-S", f"127.0.0.1:{port}", "-t", f"{place}/site"]
    quiet = subprocess.DEVNULL
    with running(command, stdout=quiet, stderr=quiet) as php:
        wait_for_port(port)
        at = f"http://127.0.0.1:{port}/"
        for name, page in GANGLIA_PAGES:
            page = page.replace("HOST", host)
            measure(at, php.pid, f"ganglia-web: {name}", page, cpu=cpu_with_children_ms)


def memory_kb(pid):
    """Resident, and what of it is of no file."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        about = file.read()
    return [int(re.search(rf"^{name}:\s+(\d+)", about, re.MULTILINE)[1]) for name in ("Rss", "Anonymous")]


def ask(port, path):
    """The bytes of an answer; less work than urllib, which runs on the same processors."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


class Crowd:
    """People who load one page after another while they are let."""

    def __init__(self, port, paths, pause):
        self.port, self.paths, self.pause = port, paths, pause
        self.go, self.end, self.loaded = threading.Event(), False, 0
        self.people = [threading.Thread(target=self.person, args=(at,)) for at in range(PEOPLE)]
        for person in self.people:
            person.start()

    def person(self, at):
        order = random.Random(at)
        while self.go.wait() and not self.end:
            ask(self.port, order.choice(self.paths))
            self.loaded += 1
            time.sleep(self.pause * order.uniform(0.5, 1.5))

    def leave(self):
        self.end = True
        self.go.set()
        for person in self.people:
            person.join()


def polls(port):
    """For each source its good polls, and the seconds that they took in all."""
    page = ask(port, "metrics").decode()
    found = {}
    for name in ("polls", "poll_seconds"):
        sample = rf'gmetad_source_{name}_total{{source="([^"]+)",result="ok"}} (\S+)'
        for source, value in re.findall(sample, page):
            found.setdefault(source, []).append(float(value))
    return found


def watch(port, host, seconds):
    """For so long: how long polls took, and how long a client waited for a host, in ms."""
    taken, waited, last = [], [], polls(port)
    end = time.time() + seconds
    while time.time() < end:
        start = time.perf_counter()
        ask(port, f"{CLUSTER}/{host}")
        waited.append((time.perf_counter() - start) * 1e3)
        now = polls(port)
        for source, (count, sum_s) in now.items():
            if count == last[source][0] + 1:
                taken.append((sum_s - last[source][1]) * 1e3)
        last = now
        time.sleep(0.02)
    return taken, waited


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def crowd(folder):
    with served(folder, 10, 100, 5) as (host, base, gmetad):
        port = int(re.search(r":(\d+)/", base)[1])
        paths = ["ui/"]
        for cluster in (CLUSTER, "farm-0004", "farm-0009"):
            paths += [f"ui/cluster?c={cluster}", f"ui/cluster?c={cluster}&v=graphs&m=cpu_user"]
        paths += [f"ui/host?c={CLUSTER}&h={host}", f"ui/metric?c={CLUSTER}&m=load_one&f=.&style=average"]
        # Polls and writes have the memory that they need, and no more.
        before = [0, 0]
        while memory_kb(gmetad.pid)[1] > before[1] + 64:
            before = memory_kb(gmetad.pid)
            time.sleep(20)
        before = memory_kb(gmetad.pid)
        everybody = Crowd(port, paths, PAUSE_S)
        results = {True: ([], []), False: ([], [])}
        most = [0, 0]
        for turn in range(TURNS * 2):
            is_busy = turn % 2 == 1
            (everybody.go.set if is_busy else everybody.go.clear)()
            for all_of, new in zip(results[is_busy], watch(port, host, TURN_S)):
                all_of.append(new)
            most = max(most, memory_kb(gmetad.pid), key=lambda memory: memory[1])
        everybody.leave()
        after = memory_kb(gmetad.pid)
        print(f"\n{PEOPLE} people, {everybody.loaded} pages, 33,000 metrics every 5 s:\n")
        print("| measured | quiet | with people | ratio |\n|---|---|---|---|")
        for index, name in enumerate(("a poll", "a client that asks for a host")):
            for part in (0.5, 0.99):
                quiet, busy = ([percentile(turn, part) for turn in results[on][index] if turn] for on in (False, True))
                ratios = [with_people / max(without, 0.01) for without, with_people in zip(quiet, busy)]
                print(
                    f"| {name}, p{part * 100:.0f} | {statistics.median(quiet):.1f} ms"
                    f" | {statistics.median(busy):.1f} ms | {statistics.median(ratios):.2f} |"
                )
        print(f"| resident | {before[0]} KB | {most[0]} KB; {after[0]} KB after | {after[0] - before[0]:+} KB |")
        print(f"| of no file | {before[1]} KB | {most[1]} KB; {after[1]} KB after | {after[1] - before[1]:+} KB |")


if __name__ == "__main__":
    print("| page | bytes | CPU: median (least) | from request to last byte | must |\n|---|---|---|---|---|")
    for hosts_of_cluster in PAGES:
        with tempfile.TemporaryDirectory() as temporary:
            pages(hosts_of_cluster, temporary)
    with tempfile.TemporaryDirectory() as temporary:
        crowd(temporary)
