"""Make the kernel allocate and free areas of vmalloc: stacks of threads, arrays of BPF, filters of sockets.

    python3 load.py ROUNDS THREADS ARRAYS FILTERS

A round starts THREADS threads, creates ARRAYS arrays of 12 to 504 pages, attaches FILTERS filters of 1 to
4,000 instructions, and then closes and ends them. Kernel threads free these areas. Arrays require root
(CAP_BPF).
"""

import ctypes
import os
import platform
import random
import socket
import struct
import sys
import threading

_BPF_NUMBERS = {"x86_64": 321, "aarch64": 280}
_MAP_CREATE, _ARRAY = 0, 2
_SO_ATTACH_FILTER = 26
_libc = ctypes.CDLL(None, use_errno=True)


def _array(pages: int) -> int:
    """Create an array of BPF whose values have this many pages; return its descriptor."""
    # union bpf_attr: map_type, key_size, value_size, max_entries
    attributes = struct.pack("IIII", _ARRAY, 4, 4096, pages).ljust(72, b"\0")
    descriptor = _libc.syscall(_BPF_NUMBERS[platform.machine()], _MAP_CREATE, attributes, len(attributes))
    if descriptor < 0:
        sys.exit(f"bpf: {os.strerror(ctypes.get_errno())}")
    return descriptor


def _filtered(instructions: int) -> socket.socket:
    """Open a socket with a filter of this many instructions: loads, and one that accepts a packet."""
    load, accept = struct.pack("HBBI", 0, 0, 0, 0), struct.pack("HBBI", 6, 0, 0, 0xFFFF)
    code = ctypes.create_string_buffer(load * (instructions - 1) + accept)
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", instructions, ctypes.addressof(code))
    )
    return end


def main() -> None:
    """Run the rounds."""
    if len(sys.argv) != 5 or not all(word.isdecimal() for word in sys.argv[1:]):
        sys.exit("usage: python3 load.py ROUNDS THREADS ARRAYS FILTERS")
    rounds, threads, arrays, filters = map(int, sys.argv[1:])
    chance = random.Random(1)
    for _ in range(rounds):
        gate = threading.Event()
        started = [threading.Thread(target=gate.wait) for _ in range(threads)]
        for thread in started:
            thread.start()
        created = [_array(int(12 * 42 ** chance.random())) for _ in range(arrays)]
        attached = [_filtered(int(4_000 ** chance.random())) for _ in range(filters)]
        chance.shuffle(created)
        for descriptor in created:
            os.close(descriptor)
        for end in attached:
            end.close()
        gate.set()
        for thread in started:
            thread.join()


if __name__ == "__main__":
    main()
