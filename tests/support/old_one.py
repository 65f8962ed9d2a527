"""A program for another Python, with an older ONE-api: loads a cache, searches and converts.

It imports nothing of the package, and reads and writes one JSON document.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import warnings


def main() -> None:
    """Answer the queries on standard input."""
    warnings.simplefilter("ignore")
    import one
    from one.alf.cache import load_tables, merge_tables
    from one.api import One

    asked = json.load(sys.stdin)
    cache = One(cache_dir=asked["root"], tables_dir=asked["tables"], mode="local")
    found = []
    for query in asked["queries"]:
        if "date_range" in query:
            query["date_range"] = [dt.date.fromisoformat(day) for day in query["date_range"]]
        found.append(sorted(map(str, cache.search(**query))))
    ids = [str(eid) for eid in cache._cache["sessions"].index]
    paths = [str(cache.path2eid(cache.eid2path(eid))) for eid in ids]
    refs = [str(cache.ref2eid(cache.eid2ref(eid))) for eid in ids]
    tables = load_tables(asked["tables"])
    merge_tables(tables, strict=True, **{name: tables[name].iloc[:3] for name in asked["names"]})
    cache.save_cache(save_dir=asked["saved"], clobber=True)
    json.dump(
        {"version": one.__version__, "found": found, "ids": ids, "paths": paths, "refs": refs},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
