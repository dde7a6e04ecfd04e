#!/bin/bash
# Installs what is missing of what gmetad's build, tests and demo need, and says what that is.
# Usage: contrib/deps.sh [build] [test] [demo] [demo-remote]
set -euo pipefail

say() { printf 'deps: %s\n' "$*" >&2; }

declare -a wanted=()
for part in "${@:-build}"; do
    case $part in
        build) wanted+=(make gcc libc6-dev librrd-dev ca-certificates) ;;
        test)
            wanted+=(ganglia-monitor gmetad rrdtool rrdcached graphite-carbon memcached)
            # graphite-web, and what it reads RRD files and is served with.
            wanted+=(graphite-web python3-rrdtool gunicorn)
            # g++ is for libFuzzer, which the fuzz targets are checked with.
            wanted+=(g++ libpython3-dev libxml2-utils man-db shellcheck iproute2 mount)
            # Stores that values are written to.
            wanted+=(prometheus victoria-metrics influxdb)
            # Shells that complete options.
            wanted+=(fish zsh)
            # A real browser for the pages.
            wanted+=(chromium chromium-driver)
            ;;
        # nc and curl are what it names to ask gmetad with.
        demo) wanted+=(ganglia-monitor netcat-openbsd curl rrdtool) ;;
        demo-remote) wanted+=(ganglia-monitor netcat-openbsd curl rrdtool prometheus) ;;
        *) say "no such part: $part (build, test, demo, demo-remote)"; exit 64 ;;
    esac
done

# Rust is not installed behind anybody's back: which toolchain a person uses is theirs to choose.
PATH=$PATH:${HOME:-/root}/.cargo/bin
if ! command -v cargo >/dev/null; then
    say 'there is no cargo here. Install Rust 1.95 or newer, with the rustup package or as' \
        'https://rustup.rs says, and run this again.'
    exit 1
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this system has no apt-get; what is needed, by its names in Debian: ${wanted[*]}"
    exit 0
fi

declare -a missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    if [[ $state != 'install ok installed' && " ${missing[*]-} " != *" $package "* ]]; then
        missing+=("$package")
    fi
done
if ((${#missing[@]} == 0)); then exit 0; fi

declare -a root=()
if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
        say "missing: ${missing[*]}. There is no sudo here; as root: apt-get install ${missing[*]}"
        exit 1
    fi
    root=(sudo)
fi

# Debian starts what it installs; these are wanted for their programs. A machine's own policy about
# that is left alone.
policy=/usr/sbin/policy-rc.d
no_start() {
    if [[ -e $policy || -L $policy ]]; then return; fi
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod 755 "$policy"
    trap '"${root[@]}" rm -f "$policy"' EXIT
}

say "installing ${missing[*]}"
no_start
declare -a apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
# A list of packages that is too old names files that are gone: it is fetched first.
"${apt[@]}" update >&2
"${apt[@]}" install --no-install-recommends "${missing[@]}" >&2

# Nor shall they start with the machine's next boot.
for service in ganglia-monitor gmetad rrdcached memcached prometheus victoria-metrics influxdb; do
    if [[ " ${missing[*]} " == *" $service "* ]] && command -v update-rc.d >/dev/null; then
        "${root[@]}" update-rc.d "$service" disable >/dev/null 2>&1 || true
        say "$service does not start by itself; to have it so: update-rc.d $service enable"
    fi
done
