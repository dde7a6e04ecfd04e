#!/bin/bash
# Tries the packages of other systems as far as the tools of this one go: rpmbuild and buildah are in
# Debian, abuild is not. Nothing but Debian's packages, for `source`, is fetched, and nothing outside of
# FOLDER is changed.
# Usage: packaging/try.sh FOLDER [rpm] [alpine] [container] [source], FOLDER being where the build puts
# its files
#
#     rpm        the archive of `make dist` is built, without a network, into an rpm; what is in it is
#                compared with the spec file by rpmbuild itself
#     alpine     APKBUILD's package() is run with the release that is there
#     container  the image of the static binary, or else of the release, is built from nothing, started,
#                and asked for its health
#     source     the same with the image that is built from the archive of `make dist`, upon an image of
#                Debian and this machine's Rust toolchain in place of the one that it names
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

work=$(mktemp -d)
declare -a started=()
declare -a containers=()
store=(buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs)
cleanup() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait
    for container in "${containers[@]}"; do "${store[@]}" umount "$container" >/dev/null 2>&1 || true; done
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

say() { printf 'packages: %s\n' "$*"; }
skip() { say "SKIPPED: $*"; }
fail() {
    say "FAILED: $*" >&2
    exit 1
}

# Waits for a condition, a command, for a minute; shows a file where it does not come true.
wait_for() {
    local shown=$1 end=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then
            cat "$shown" >&2
            fail "no success within a minute: $*"
        fi
        sleep 0.1
    done
}

rpm() {
    local archive=$folder/gmetad-$version.tar.gz definitions=() alone=()
    if ! command -v rpmbuild >/dev/null; then
        skip 'rpm: there is no rpmbuild here (Debian: apt-get install rpm)'
        return
    fi
    if [[ ! -e $archive ]]; then
        skip "rpm: there is no $archive: make dist"
        return
    fi
    # What Fedora's systemd-rpm-macros say, where they are not there.
    if [[ $(command rpm --eval '%{?_unitdir}') == '' ]]; then
        definitions=(--nodeps
            --define '_unitdir /usr/lib/systemd/system'
            --define '_sysusersdir /usr/lib/sysusers.d'
            --define '_tmpfilesdir /usr/lib/tmpfiles.d'
            --define 'systemd_post() :' --define 'systemd_preun() :'
            --define 'systemd_postun_with_restart() :')
    fi
    if unshare -n true 2>/dev/null; then alone=(unshare -n); fi
    # How it is packed is tried, not how fast it is.
    if ! env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 \
        "${alone[@]}" rpmbuild --define "_topdir $work/rpm" "${definitions[@]}" -tb "$archive" \
        >"$work/log" 2>&1; then
        tail -n 30 "$work/log" >&2
        fail 'rpm'
    fi
    local built
    built=$(find "$work/rpm/RPMS" -name 'gmetad-rs-[0-9]*.rpm')
    say "rpm: $(command rpm -qpl --nosignature "$built" | wc -l) files and folders"
    command rpm -qp --nosignature --qf 'packages: rpm: %{NAME} %{VERSION}-%{RELEASE} %{ARCH} %{LICENSE}\n' "$built"
    command rpm -qp --nosignature --provides --conflicts "$built" | sed 's/^/packages: rpm: /'
}

alpine() {
    if ! [[ -x $folder/release/gmetad ]]; then
        skip "alpine: there is no $folder/release/gmetad: make release"
        return
    fi
    local apk=$work/apk
    mkdir -p "$apk"
    # abuild runs it with busybox's shell.
    local shell=(sh)
    if command -v busybox >/dev/null; then shell=(busybox sh); fi
    "${shell[@]}" -n packaging/alpine/APKBUILD
    "${shell[@]}" -n packaging/alpine/gmetad-rs.pre-install
    # shellcheck disable=SC2016 # that shell expands them
    srcdir=$work pkgdir=$apk CARGO_TARGET_DIR=$folder "${shell[@]}" -euc '
        . packaging/alpine/APKBUILD
        for word in pkgname pkgver pkgrel pkgdesc url arch license source builddir; do
            eval "[ -n \"\$$word\" ]" || { echo "no $word" >&2; exit 1; }
        done
        package' >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail 'alpine: package()'
    }
    [[ $(sed -n 's/^pkgver=//p' packaging/alpine/APKBUILD) == "$version" ]] || fail 'alpine: pkgver'
    local file
    for file in usr/sbin/gmetad etc/init.d/gmetad etc/ganglia/gmetad.conf usr/share/man/man8/gmetad.8; do
        [[ -s $apk/$file ]] || fail "alpine: no $file"
    done
    grep -q '^setuid_username ganglia' "$apk/etc/ganglia/gmetad.conf" || fail 'alpine: the user'
    say "alpine: $(find "$apk" -type f -o -type l | wc -l) files"
}

# The static busybox, which a container asks for its health.
static_busybox() {
    local busybox
    busybox=$(command -v busybox) || return 1
    if readelf -lW "$busybox" | grep -q INTERP; then return 1; fi
    printf '%s' "$busybox"
}

# Starts the image of that name as it says, on ports of the system's choice: it stores files and is healthy.
image_runs() {
    local what=$1 image=$2 container mounted daemon port
    "${store[@]}" inspect --type image \
        --format '{{.Docker.Config.User}} {{.Docker.Config.Entrypoint}} {{.Docker.Config.Healthcheck.Test}}
' \
        "$image" | sed "s/^/packages: $what: /"
    container=$("${store[@]}" from --pull-never "$image")
    containers+=("$container")
    mounted=$("${store[@]}" mount "$container")
    [[ $(stat -c %u "$mounted/var/lib/ganglia/rrds") == 65534 ]] || fail "$what: whose are the files?"
    contrib/serve-saved.py tests/data/gmond/gmond-plain.xml "$work/$what.port" &
    started+=($!)
    wait_for "$work/log" test -s "$work/$what.port"
    printf 'data_source "saved" 127.0.0.1:%s\nxml_port 0\ninteractive_port 0\nbind_address 127.0.0.1\n' \
        "$(<"$work/$what.port")" >"$mounted/etc/ganglia/gmetad.conf"
    local inside=(chroot --userspec=65534:65534 "$mounted") said=$work/$what.said
    "${inside[@]}" /usr/sbin/gmetad -f -d 4 >"$said" 2>&1 &
    daemon=$!
    started+=("$daemon")
    interactive() { grep -oE 'interactive[^0-9]*127\.0\.0\.1:[0-9]+' "$said" | grep -oE '[0-9]+$'; }
    wait_for "$said" interactive
    port=$(interactive)
    # There is no /dev, which a container has.
    wait_for "$said" "${inside[@]}" /bin/busybox wget -q -O - "http://127.0.0.1:$port/healthz"
    wait_for "$said" compgen -G "$mounted/var/lib/ganglia/rrds/*/*/*.rrd"
    say "$what: healthy, and stores files"
    kill "$daemon"
    wait "$daemon" || fail "$what: it ended with $?"
    "${store[@]}" images --filter "reference=$image" | sed "s/^/packages: $what: /"
}

container() {
    local binary=$folder/static/gmetad busybox
    if ! command -v buildah >/dev/null || ((EUID != 0)); then
        skip 'container: it wants buildah (Debian: apt-get install buildah), and root'
        return
    fi
    if [[ ! -x $binary ]]; then binary=$folder/release/gmetad; fi
    if [[ ! -x $binary ]]; then
        skip 'container: there is no gmetad: make static, or make release'
        return
    fi
    if ! busybox=$(static_busybox); then
        skip 'container: it wants a static busybox (Debian: apt-get install busybox-static)'
        return
    fi
    packaging/container/root.sh "$binary" "$work/root" "$busybox"
    "${store[@]}" build --quiet --isolation chroot --format docker \
        -f packaging/container/Containerfile.prebuilt -t gmetad-prebuilt "$work/root" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail 'container: the image'
    }
    image_runs container gmetad-prebuilt
}

# An image like the one that Containerfile is built upon: what its packages are, and Rust where that has it.
base_image() {
    local name=$1 toolchain=$2 mirror base=$work/base container
    # From where this system has its own packages.
    # shellcheck disable=SC2016 # apt-get expands it.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Codename: bookworm' 2>/dev/null | head -n 1)
    mmdebstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$base" \
        ${mirror:+"deb $mirror bookworm main"} || return 1
    install -d "$base/usr/local/rust/bin" "$base/usr/local/rust/lib/rustlib"
    cp "$toolchain"/bin/{cargo,rustc} "$base/usr/local/rust/bin/"
    cp "$toolchain"/lib/*.so* "$base/usr/local/rust/lib/"
    cp -r "$toolchain"/lib/rustlib/*-linux-gnu "$base/usr/local/rust/lib/rustlib/"
    container=$("${store[@]}" from scratch)
    "${store[@]}" copy --quiet "$container" "$base" /
    # How it is packed is tried, not how fast it is.
    "${store[@]}" config --env PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        --env CARGO_PROFILE_RELEASE_LTO=off --env CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        --env CARGO_PROFILE_RELEASE_OPT_LEVEL=0 --env CARGO_PROFILE_RELEASE_DEBUG=0 "$container"
    "${store[@]}" commit --quiet --rm "$container" "$name"
    rm -rf --one-file-system "$base"
}

source_image() {
    local archive=$folder/gmetad-$version.tar.gz toolchain name
    if ! command -v buildah >/dev/null || ! command -v mmdebstrap >/dev/null || ((EUID != 0)); then
        skip 'source: it wants buildah and mmdebstrap (Debian: apt-get install buildah mmdebstrap), and root'
        return
    fi
    if [[ ! -e $archive ]]; then
        skip "source: there is no $archive: make dist"
        return
    fi
    toolchain=$(rustc --print sysroot)
    if [[ $toolchain == /usr || ! -x $toolchain/bin/cargo ]]; then
        skip "source: it wants a toolchain of rustup's, to be copied; here it is $toolchain"
        return
    fi
    name=$(sed -n 's/^FROM \(.*\) AS build$/\1/p' packaging/container/Containerfile)
    base_image "$name" "$toolchain" >"$work/log" 2>&1 || {
        skip "source: no root of Debian 12 can be made here: $(tail -n 3 "$work/log")"
        return
    }
    mkdir "$work/tree"
    tar -xzf "$archive" -C "$work/tree" --strip-components 1
    "${store[@]}" build --pull=never --isolation chroot --format docker \
        -f "$work/tree/packaging/container/Containerfile" -t gmetad-source "$work/tree" >"$work/log" 2>&1 || {
        tail -n 30 "$work/log" >&2
        fail 'source: the image'
    }
    image_runs source gmetad-source
}

if (($# == 0)); then set -- rpm alpine container source; fi
for package in "$@"; do
    case $package in
        rpm | alpine | container)
            say "$package"
            "$package"
            ;;
        source)
            say source
            source_image
            ;;
        *)
            say "no such package: $package (rpm, alpine, container, source)"
            exit 64
            ;;
    esac
done
