"""Ids made many at a time are those that the standard library makes one by one."""

from __future__ import annotations

import random
import uuid

import numpy as np
import pyarrow as pa

from vrtracker.files.one.ids import id_texts, ids_of_texts, name_ids


def test_ids_and_their_texts_are_those_of_the_standard_library():
    draw = random.Random(7)
    # Of every length around the ends of MD5's blocks, and with signs of several bytes.
    names = ["x" * length for length in range(130)] + ["ü✓" * length for length in range(1, 60)]
    spaces = [uuid.UUID(int=draw.getrandbits(128)) for _ in range(400)]
    which = [draw.randrange(len(names)) for _ in spaces]
    expected = [uuid.uuid3(space, names[name]) for space, name in zip(spaces, which, strict=True)]

    ids = name_ids(ids_of_texts([str(space) for space in spaces]), pa.array(names), np.array(which))

    assert [uuid.UUID(bytes=one.tobytes()) for one in ids] == expected
    assert id_texts(ids).to_pylist() == [str(one) for one in expected]
