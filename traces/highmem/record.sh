#!/bin/sh
# Record the kmap pool of a real kernel with highmem: Debian's 686-pae kernel under qemu, with or without KVM.
#
#   record.sh OUT [MODE DIRECTORIES TASKS READS [MS]]
#
# Writes OUT.tracefs.txt.gz and OUT.kmap.parquet, which `pipeline study kernel` reads. The default load is
# `wrap 3000 16 1000`; see load.c. Requires Debian (or another system with dpkg-deb) and
#   apt-get install qemu-system-x86 gcc-multilib cpio util-linux-extra
# and, to download two packages that are unpacked but not installed,
#   dpkg --add-architecture i386 && apt-get update
# Set WORK to keep the downloaded and built files (default: a temporary directory that is removed).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
kernel=linux-image-6.1.0-50-686-pae
version=6.1.176-1
out=${1:?"usage: record.sh OUT [MODE DIRECTORIES TASKS READS [MS]]"}
shift
load=${*:-wrap 3000 16 1000}

fail() {
	echo "record.sh: $1" >&2
	exit 1
}

for tool in qemu-system-i386 gcc cpio mkfs.minix dpkg-deb apt-get gzip pipeline; do
	command -v $tool > /dev/null || PATH=$PATH:/usr/sbin:/sbin command -v $tool > /dev/null ||
		fail "wanted $tool on PATH, found none; the comment at the top of this script lists the packages"
done
PATH=$PATH:/usr/sbin:/sbin

if [ -z "${WORK:-}" ]; then
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK/root/bin"

if [ ! -d "$WORK/kernel" ]; then
	(cd "$WORK" && apt-get download $kernel:i386="$version" busybox-static:i386) ||
		fail "cannot download $kernel:i386 $version. Another version needs other offsets: see README.md"
	dpkg-deb -x "$WORK"/$kernel*.deb "$WORK/kernel"
	dpkg-deb -x "$WORK"/busybox-static*.deb "$WORK/busybox"
fi

gcc -m32 -O2 -static -pthread -Wall -o "$WORK/root/load" "$here/load.c"
cp "$WORK/busybox/bin/busybox" "$WORK/root/bin/"
cp "$here/init" "$WORK/root/init"
chmod +x "$WORK/root/init"
find "$WORK/kernel/lib/modules" \( -name loop.ko -o -name minix.ko \) -exec cp {} "$WORK/root/" \;
rm -f "$WORK/minix.img"
truncate -s 32M "$WORK/minix.img"
mkfs.minix -3 -i 8192 "$WORK/minix.img" > /dev/null
gzip -9 -c "$WORK/minix.img" > "$WORK/root/minix.img.gz"
(cd "$WORK/root" && find . | cpio -o -H newc --quiet | gzip -1) > "$WORK/initramfs.gz"

# 3 GiB: about 870 MiB are low memory, the rest is highmem. Without KVM, because not all hosts support it.
timeout "${SECONDS_AT_MOST:-900}" qemu-system-i386 -accel "${ACCEL:-tcg,thread=multi}" -cpu max -smp 4 -m 3072 \
	-nographic -no-reboot -monitor none -serial stdio -serial "file:$WORK/trace.gz" \
	-kernel "$WORK"/kernel/boot/vmlinuz-* -initrd "$WORK/initramfs.gz" \
	-append "console=ttyS0 quiet panic=-1 loglevel=4 pool.load=\"$load\"" < /dev/null | tee "$WORK/console.txt"

grep -q 'pool: done' "$WORK/console.txt" || fail "the guest did not finish; its output is above"
said=$(sed -n 's/.*pool: sha256 \([0-9a-f]*\).*/\1/p' "$WORK/console.txt")
echo "$said  $WORK/trace.gz" | sha256sum -c --quiet || fail "the trace was damaged on the serial line"
cp "$WORK/trace.gz" "$out.tracefs.txt.gz"
python3 "$here/convert.py" "$out.tracefs.txt.gz" "$out.kmap.parquet"
echo "now: pipeline study kernel $out.kmap.parquet --allocator global_pool --set slots=512 --set flush_if_any=true"
