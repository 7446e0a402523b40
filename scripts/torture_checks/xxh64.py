"""XXH64 as https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md describes it, in plain Python."""

from __future__ import annotations

import struct

MASK = (1 << 64) - 1
PRIME_1 = 0x9E3779B185EBCA87
PRIME_2 = 0xC2B2AE3D27D4EB4F
PRIME_3 = 0x165667B19E3779F9
PRIME_4 = 0x85EBCA77C2B2AE63
PRIME_5 = 0x27D4EB2F165667C5

# What others publish; they reach every branch: nothing, the last bytes alone, words, and stripes of 32 bytes with a rest.
VECTORS = [
    (b"", 0, 0xEF46DB3751D8E999),
    (b"a", 0, 0xD24EC4F1A98C6E5B),
    (b"abc", 0, 0x44BC2CF5AD770999),
    (b"asdf", 0, 0x415872F599CEA71E),
    (b"xxhash", 20141025, 0xB559B98D844E0635),
    (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
    (b"Call me Ishmael. Some years ago--never mind how long precisely-", 0, 0x02A2E85470D6FD96),
]


def _rotated(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & MASK


def _mixed(lane: int, word: int) -> int:
    return _rotated((lane + word * PRIME_2) & MASK, 31) * PRIME_1 & MASK


def xxh64(data: bytes, seed: int = 0) -> int:
    at = len(data) - len(data) % 32
    if at:
        lanes = [seed + PRIME_1 + PRIME_2 & MASK, seed + PRIME_2 & MASK, seed, seed - PRIME_1 & MASK]
        for words in struct.iter_unpack("<4Q", data[:at]):
            lanes = [_mixed(lane, word) for lane, word in zip(lanes, words)]
        result = sum(_rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            result = (result ^ _mixed(0, lane)) * PRIME_1 + PRIME_4 & MASK
    else:
        result = seed + PRIME_5 & MASK
    result = result + len(data) & MASK
    while at + 8 <= len(data):
        result = _rotated(result ^ _mixed(0, int.from_bytes(data[at:at + 8], "little")), 27) * PRIME_1 + PRIME_4 & MASK
        at += 8
    if at + 4 <= len(data):
        result ^= int.from_bytes(data[at:at + 4], "little") * PRIME_1 & MASK
        result = _rotated(result, 23) * PRIME_2 + PRIME_3 & MASK
        at += 4
    for byte in data[at:]:
        result = _rotated(result ^ byte * PRIME_5 & MASK, 11) * PRIME_1 & MASK
    result = (result ^ result >> 33) * PRIME_2 & MASK
    result = (result ^ result >> 29) * PRIME_3 & MASK
    return result ^ result >> 32
