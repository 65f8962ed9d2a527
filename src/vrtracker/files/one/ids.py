"""Ids of ONE's tables, many at a time: UUIDs of version 3, and their texts.

One by one, with the standard library, they take most of an export. RFC 9562 (5.3) says what such an
id is: the MD5 of the namespace's 16 bytes and a name, with version and variant set; RFC 1321 says
what MD5 is. Here each of its 64 steps is done for some thousands of messages at once.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ids = npt.NDArray[np.uint8]
"""UUIDs as bytes, shape (n, 16)."""

_ID_BYTES = 16
_BLOCK_BYTES, _BLOCK_WORDS = 64, 16
_LENGTH_BYTES = 8
_AT_ONCE = 32768
"""Messages whose words stay in the processor's own memory."""
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_TURNS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_SINES = [np.uint32(int(abs(math.sin(step + 1)) * 2**32)) for step in range(64)]
_PLACES = ((1, 0), (5, 1), (3, 5), (7, 0))
"""Of each round: which word step n takes, a * n + b modulo 16."""
ID_LENGTH = 36
_UNDASHED, _DASHED = np.dtype("V8,V4,V4,V4,V12"), np.dtype("V8,V1,V4,V1,V4,V1,V4,V1,V12")
"""The digits of an id, and with a dash behind each group but the last; numpy names them f0 ..."""


def name_ids(namespaces: Ids, names: pa.StringArray, which: npt.NDArray[Any]) -> Ids:
    """Return what `uuid.uuid3` gives for each namespace and the name that belongs to it.

    Parameters
    ----------
    namespaces
        Shape (n, 16).
    names
        Each name once.
    which
        Shape (n,): the position of the name of each row.

    Returns
    -------
    ndarray of uint8, shape (n, 16)
    """
    _, offsets, text = names.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[names.offset :][: len(names) + 1]
    letters = np.frombuffer(text or b"", dtype=np.uint8)
    lengths = np.diff(ends)
    ids = np.empty((len(which), _ID_BYTES), dtype=np.uint8)
    position = np.empty(len(names), dtype=np.int64)
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        position[alike] = np.arange(len(alike))
        tails = _tails(letters[ends[alike][:, None] + np.arange(length)]).T.copy()
        rows = np.flatnonzero(lengths[which] == length)
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            heads = namespaces.take(part, axis=0).view("<u4").T
            words = np.concatenate([heads, tails.take(position[which[part]], axis=1)])
            ids[part] = _md5(words).T.view(np.uint8)
    ids[:, 6] = ids[:, 6] & 0x0F | 0x30
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids


def _tails(names: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return the words of messages behind the namespace: name, end mark, length in bits."""
    length = names.shape[1]
    blocks = (_ID_BYTES + length + _LENGTH_BYTES) // _BLOCK_BYTES + 1
    padded = np.zeros((len(names), blocks * _BLOCK_BYTES - _ID_BYTES), dtype=np.uint8)
    padded[:, :length] = names
    padded[:, length] = 0x80
    words = padded.view("<u4")
    words[:, -2] = 8 * (_ID_BYTES + length)
    return words


def _md5(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the MD5 of messages of shape (16 * blocks, n) as four words, shape (4, n)."""
    state = np.repeat(np.array(_START, dtype="<u4")[:, None], words.shape[1], axis=1)
    for first in range(0, len(words), _BLOCK_WORDS):
        state += _mixed(state.copy(), words[first : first + _BLOCK_WORDS])
    return np.ascontiguousarray(state.T).T


def _mixed(state: npt.NDArray[np.uint32], words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the state after the 64 steps of one block."""
    a, b, c, d = state
    # Into the same memory again and again: new memory would have to come into the processor.
    made = np.empty_like(a)
    for step in range(64):
        turn = step // 16
        factor, offset = _PLACES[turn]
        _choose(turn, b, c, d, made)
        a += made
        a += words[(factor * step + offset) % 16]
        a += _SINES[step]
        left = np.uint32(_TURNS[turn][step % 4])
        np.left_shift(a, left, out=made)
        a >>= np.uint32(32) - left
        a |= made
        a += b
        a, b, c, d = d, a, b, c
    return np.stack([a, b, c, d])


def _choose(turn: int, b: Any, c: Any, d: Any, out: Any) -> None:
    """Put what a round of the RFC makes of three words into `out`, in two or three steps."""
    first, second, third = (d, b, c) if turn == 1 else (b, c, d)
    if turn <= 1:
        np.bitwise_xor(second, third, out=out)
        out &= first
        out ^= third
    elif turn == 2:  # noqa: PLR2004
        np.bitwise_xor(b, c, out=out)
        out ^= d
    else:
        np.invert(d, out=out)
        out |= b
        out ^= c


def id_texts(ids: Ids) -> pa.StringArray:
    """Return UUIDs as texts such as ONE writes them, lower-case with dashes."""
    digits = np.frombuffer(binascii.hexlify(ids.data), dtype=_UNDASHED)
    text = np.full((len(ids), ID_LENGTH), ord("-"), dtype=np.uint8)
    for place in range(5):
        text.view(_DASHED)[:, 0][f"f{2 * place}"] = digits[f"f{place}"]
    return texts_of(text)


def texts_of(letters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Return texts that are all of one length from their bytes, shape (n, length)."""
    count, length = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * length
    buffers = (pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters)))
    return pa.StringArray.from_buffers(count, *buffers)


def ids_of_texts(texts: Sequence[str]) -> Ids:
    """Return UUIDs from their texts; each has 32 hexadecimal digits."""
    digits = "".join(texts).replace("-", "")
    return np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(-1, _ID_BYTES)
