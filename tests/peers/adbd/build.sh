#!/usr/bin/env bash
# Builds AOSP's own adbd for Linux from Debian's source package: build.sh OUT makes OUT/adbd.
#
# The source is fetched with apt and stays in OUT; nothing of it is kept here. As it comes, this daemon listens
# on all interfaces and asks nobody who they are, so edit.py makes it listen where ADBD_LISTEN says and nowhere
# else. Needs g++, dpkg-dev and the packages below; takes about a minute on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
out=$PWD
[ -x adbd ] && exit 0

packages="android-libbase-dev android-libcutils-dev android-liblog-dev android-libboringssl-dev libcap-dev"
missing=$(for package in $packages dpkg-dev g++; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || echo "$package"
done)
[ -z "$missing" ] || { echo "please install:" $missing >&2; exit 1; }

if [ ! -d source ]; then
    # The sources of the same archives that packages come from, without touching the system's own lists.
    mkdir -p apt/sources apt/lists/partial
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -e "$file" ] && sed 's/^Types: deb$/Types: deb-src/' "$file" >"apt/sources/$(basename "$file")"
    done
    [ ! -s /etc/apt/sources.list ] || sed 's/^deb /deb-src /' /etc/apt/sources.list >apt/sources/main.list
    apt="apt-get --quiet=2 -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$out/apt/sources
        -o Dir::State::Lists=$out/apt/lists"
    $apt update
    $apt source --download-only android-platform-tools
    dpkg-source --extract ./android-platform-tools_*.dsc unpacked
    python3 "$here/edit.py" unpacked
    mv unpacked source
fi

core=$out/source/system/core
adb=$core/adb
mkdir -p objects include/android-base
# Annotations for a checker of threads that g++ does not have.
cat >include/android-base/thread_annotations.h <<'END'
#pragma once
#define CAPABILITY(x)
#define SCOPED_CAPABILITY
#define GUARDED_BY(x)
#define PT_GUARDED_BY(x)
#define ACQUIRE(...)
#define RELEASE(...)
#define REQUIRES(...)
#define EXCLUDES(...)
#define NO_THREAD_SAFETY_ANALYSIS
namespace android::base {
struct ScopedLockAssertion {
    template <typename Lock> explicit ScopedLockAssertion(Lock&) {}
};
}
END

includes="-I$out/include -I$adb -I$adb/daemon/include -I$adb/daemon -I/usr/include/android"
for part in base diagnose_usb libcrypto_utils libcutils libasyncio; do includes="$includes -I$core/$part/include"; done
includes="$includes -I$core/include -I$out/source/frameworks/native/libs/adbd_auth/include"
includes="$includes -I$adb/adbconnection/include -I$adb/adb/include"
# Read by the compiler itself, so that no shell takes the quotes away.
cat >flags <<END
-O1 -fPIC -w -D_GNU_SOURCE -DADB_HOST=0 -DALLOW_ADBD_ROOT=0 -DALLOW_ADBD_NO_AUTH=1
-DALLOW_ADBD_DISABLE_VERITY=0 -DPLATFORM_TOOLS_VERSION=\\"29\\" -DADB_VERSION=\\"29\\"
$includes
END
forced="-include cstdint -include cstring -include atomic -include optional -include array"

{
    for name in adb adb_io adb_listeners adb_trace adb_unique_fd adb_utils fdevent/fdevent fdevent/fdevent_poll \
        fdevent/fdevent_epoll services sockets socket_spec sysdeps/errno transport transport_fd transport_local \
        transport_usb types sysdeps_unix sysdeps/posix/network daemon/auth daemon/jdwp_service daemon/usb_dummy \
        daemon/file_sync_service daemon/services daemon/shell_service shell_service_protocol daemon/main \
        adbconnection/adbconnection_server; do
        echo "$adb/$name.cpp"
    done
    echo "$core/diagnose_usb/diagnose_usb.cpp"
    echo "$core/libasyncio/AsyncIO.cpp"
    echo "$out/source/frameworks/native/libs/adbd_auth/adbd_auth.cpp"
} | xargs -P "$(nproc)" -I '{}' sh -c "o=objects/\$(echo '{}' | md5sum | cut -c1-16).o
    [ -s \$o ] || { g++ @flags -std=gnu++2a -fno-exceptions -fno-strict-aliasing $forced -c '{}' -o \$o.new &&
    mv \$o.new \$o; }"
gcc @flags -c "$core/libcrypto_utils/android_pubkey.c" -o objects/android_pubkey.o
libraries=$(dirname "$(find /usr/lib -path '*/android/libbase.so' | head -1)")
g++ -o adbd.new objects/*.o -L"$libraries" -Wl,-rpath="$libraries" -lbase -lcrypto -lcutils -llog -lpthread -lresolv -lutil
mv adbd.new adbd
