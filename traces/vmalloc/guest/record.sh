#!/bin/sh
# Record the areas of vmalloc of Debian's 64-bit kernel in a virtual machine with many CPUs, without KVM.
#
#   record.sh OUT CPUS MEMORY_MIB [ROUNDS THREADS ARRAYS FILTERS [reclaim]]
#
# Writes the text OUT, which `pipeline study kernel` and `pipeline import` read. The default load is `6 60 40 2`;
# see load.c. With `reclaim`, the kernel also reclaims memory ten times a second. Requires Debian 12 or later and
#   apt-get install qemu-system-x86 busybox-static gcc libc6-dev cpio
# The kernel's package is downloaded and unpacked, but not installed. Set WORK to keep these files, and KERNEL to
# take another package (Linux 6.3 or later).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
usage="usage: record.sh OUT CPUS MEMORY_MIB [ROUNDS THREADS ARRAYS FILTERS [reclaim]]"
out=${1:?"$usage"} cpus=${2:?"$usage"} memory=${3:?"$usage"}
shift 3
load=${*:-6 60 40 2}
kernel=${KERNEL:-linux-image-6.12.117+deb12-cloud-amd64}

fail() {
	echo "record.sh: $1" >&2
	exit 1
}

for tool in qemu-system-x86_64 gcc cpio dpkg-deb apt-get gzip sha256sum; do
	command -v $tool > /dev/null ||
		fail "wanted $tool on PATH, found none; the comment at the top of this script lists the packages"
done
[ -x /bin/busybox ] || fail "wanted /bin/busybox, found none; install busybox-static"

if [ -z "${WORK:-}" ]; then
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK/root/bin"
if [ ! -d "$WORK/kernel" ]; then
	(cd "$WORK" && apt-get download "$kernel") || fail "cannot download $kernel; set KERNEL to another package"
	dpkg-deb -x "$WORK"/linux-image-*.deb "$WORK/kernel"
fi

gcc -O2 -static -pthread -Wall -Wextra -o "$WORK/root/load" "$here/load.c" -lm
cp /bin/busybox "$WORK/root/bin/"
cp "$here/init" "$WORK/root/init"
chmod +x "$WORK/root/init"
(cd "$WORK/root" && find . | cpio -o -H newc --quiet | gzip -1) > "$WORK/initramfs.gz"

timeout "${SECONDS_AT_MOST:-600}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max,la57=off -smp "$cpus" \
	-m "$memory" -nographic -no-reboot -monitor none -serial stdio \
	-device virtio-serial-pci -chardev "file,id=text,path=$WORK/text" \
	-device virtserialport,chardev=text,name=areas \
	-kernel "$WORK"/kernel/boot/vmlinuz-* -initrd "$WORK/initramfs.gz" \
	-append "console=ttyS0 quiet panic=-1 loglevel=4 areas.load=\"$load\"" < /dev/null | tee "$WORK/console.txt"

grep -q 'areas: done' "$WORK/console.txt" || fail "the guest did not finish; its output is above"
said=$(sed -n 's/.*areas: sha256 \([0-9a-f]*\).*/\1/p' "$WORK/console.txt")
echo "$said  $WORK/text" | sha256sum -c --quiet || fail "the text was damaged on its way out of the guest"
cp "$WORK/text" "$out"
