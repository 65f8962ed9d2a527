"""The tables of sessions and mice: conditions, order, columns, pages, and the same as a file."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from sqlalchemy import String
from starlette.background import BackgroundTask

from vrtracker.as_json import KEY_COLUMNS, records
from vrtracker.domain.mice import tells_genotype
from vrtracker.errors import InvalidValueError, VrtrackerError
from vrtracker.services.entries.completing import next_words
from vrtracker.services.entries.rows import RowService
from vrtracker.tracker import Tracker
from vrtracker.web.answers import answer
from vrtracker.web.editing import settable
from vrtracker.web.rendering import Form, Renderer, then
from vrtracker.web.tables import narrowed
from vrtracker.web.views import View, Views

_ROWS = 100
_DEEPEST = 100
"""Pages of an order of one's own: each is read from the first row."""
_LONGEST = 2_000
"""Letters of a condition that is completed: the time it takes grows with their square."""
_KEPT_S = 365 * 86_400
_SHOWN = {
    "sessions": ("imaging", "numPlanes", "experimentType", "sessionNotes"),
    "mice": ("mouseName", "sex", "dateOfBirth", "strain", "genotype", "KO", "tracked", "notes"),
}
_Names = Annotated[list[str] | None, Query()]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see of a table."""

    where: str = ""
    text: str = ""
    order: str = ""
    after: str = ""
    page: int = 1
    columns: tuple[str, ...] = ()
    scratched: bool = False

    @classmethod
    def of(cls, link: str) -> Asked:
        """Return what a link asks for."""
        given = parse_qs(link)
        where, text, order = (given.get(name, [""])[0] for name in ("where", "text", "order"))
        columns, scratched = tuple(given.get("columns", ())), "scratched" in given
        return cls(where, text, order, columns=columns, scratched=scratched)

    def link(self, **changed: Any) -> str:
        """Return the query of the address that shows the same but for what is changed."""
        whole = {
            "where": self.where,
            "text": self.text,
            "order": self.order,
            "scratched": "true" if self.scratched else "",
            "columns": self.columns,
            **changed,
        }
        return urlencode({n: value for n, value in whole.items() if value}, doseq=True)


def add_routes(router: APIRouter, tracker: Tracker, renderer: Renderer) -> None:
    """Add the pages of both tables, and their files."""
    _add_table(router, _Table(tracker, tracker.sessions, "sessions"), renderer)
    _add_table(router, _Table(tracker, tracker.mice, "mice"), renderer)


def _add_table(router: APIRouter, table: _Table, renderer: Renderer) -> None:
    plural = table.plural

    @router.get(f"/{plural}")
    def listed(
        *,
        request: Request,
        where: str = "",
        text: str = "",
        order: str = "",
        after: str = "",
        page: Annotated[int, Query(ge=1, le=_DEEPEST)] = 1,
        columns: _Names = None,
        scratched: Annotated[bool, Query()] = False,
    ) -> HTMLResponse:
        kept = request.cookies.get(f"columns-{plural}", "")
        asked = Asked(
            where.strip(), text.strip(), order, after, page, tuple(columns or ()), scratched
        )
        if not columns:
            chosen = tuple(name for name in kept.split(".") if name in table.names)
            asked = replace(asked, columns=chosen)
        facts = table.shown(asked) if request.url.query else table.opened(asked)
        shown = renderer.show("table.html", facts)
        if columns:
            cookie = f"columns-{plural}"
            shown.set_cookie(cookie, ".".join(columns), _KEPT_S, samesite="strict", httponly=True)
        return shown

    @router.get(f"/{plural}/as/words")
    def words(text: Annotated[str, Query(max_length=_LONGEST)] = "") -> Response:
        at, found = next_words(table.service, text)
        return answer({"at": at, "words": found})

    @router.get(f"/{plural}/as/count")
    def counted(
        where: str = "", text: str = "", *, scratched: Annotated[bool, Query()] = False
    ) -> HTMLResponse:
        asked = Asked(where.strip(), text.strip(), scratched=scratched)
        return renderer.show("count.html", table.counted(asked))

    @router.post(f"/{plural}/as/chosen")
    def chosen(form: Form) -> Response:
        return then(f"/{plural}?{table.only(form.all('key')).link()}")

    @router.post(f"/{plural}/as/view")
    def kept(form: Form) -> Response:
        if "remove" in form:
            table.views.remove(form["remove"])
            return then(f"/{plural}?where=")
        asked = Asked.of(form.get("link", ""))
        table.check(asked)
        table.views.keep(form.get("name", ""), View(asked.link(), "first" in form))
        return then(f"/{plural}?{asked.link() or 'where='}")

    @router.get(f"/{plural}/as/{{form}}")
    def exported(
        form: Literal["csv", "parquet", "json"],
        where: str = "",
        text: str = "",
        order: str = "",
        *,
        columns: _Names = None,
        scratched: Annotated[bool, Query()] = False,
    ) -> Response:
        chosen = tuple(columns or ())
        asked = Asked(where.strip(), text.strip(), order, columns=chosen, scratched=scratched)
        return table.file(asked, form)


class _Table:
    """One of the lab's tables as a page."""

    def __init__(self, tracker: Tracker, service: RowService[Any, Any], plural: str) -> None:
        self.service = service
        self.plural = plural
        self.views = Views(f"{tracker.url} {plural}")
        mouse = [f"mouse.{name}" for name in _texts(tracker.mice)]
        self._texts = [*_texts(service), *(mouse if plural == "sessions" else ())]
        self._states = tuple(tracker.workflow.stages) if plural == "sessions" else ()

    @property
    def names(self) -> list[str]:
        """The columns that can be shown."""
        return list(self.service.columns)

    def opened(self, plain: Asked) -> dict[str, Any]:
        """Return what the table opens with: the first view, where there is one that still holds."""
        first = self.views.first()
        if first is None:
            return self.shown(plain)
        asked = Asked.of(first.link)
        try:
            return self.shown(replace(asked, columns=asked.columns or plain.columns))
        except VrtrackerError as error:
            return {**self.shown(plain), "problem": str(error)}

    def shown(self, asked: Asked) -> dict[str, Any]:
        """Return the rows of a page, and what can be done with them."""
        key = KEY_COLUMNS if self.plural == "sessions" else ("mouseName",)
        columns = [name for name in asked.columns or _SHOWN[self.plural] if name not in key]
        states = [f"state.{stage}" for stage in self._states]
        first = (asked.page - 1) * _ROWS if asked.order else 0
        ordered = self._ordered(asked).select(*key, *columns, *states)
        found = ordered.limit(first + _ROWS + 1).records()[first:]
        rows = records(found[:_ROWS])
        following = None
        if len(found) > _ROWS:
            more = {"page": asked.page + 1} if asked.order else {"after": _key(rows[-1])}
            following = asked.link(**more) if asked.page < _DEEPEST else None
        return {
            "plural": self.plural,
            "rows": [{"key": _key(row), **row} for row in rows],
            "columns": (*key, *columns),
            "stages": self._states,
            "all_columns": [name for name in self.names if name not in key],
            "settable": settable(self.service),
            # To count takes as long as to find, or longer: what is shown does not wait for it.
            "passing": None if first or asked.after or following else self._passing(len(rows)),
            "views": self.views.all(),
            "asked": asked,
            "condition": self._condition(asked) or "",
            "next": following,
            "snippet": self._snippet(asked),
            "line": self._line(asked),
        }

    def file(self, asked: Asked, form: str) -> Response:
        """Return the rows as a file; as JSON like the API's."""
        query = self.query(asked).order_by(*filter(None, [asked.order]))
        query = query.select(*(asked.columns or ["*"]))
        name = f"{self.plural}.{form}"
        saved = {"Content-Disposition": f'attachment; filename="{name}"'}
        if form == "json":
            return answer({"items": records(query.records())}, headers=saved)
        folder = tempfile.TemporaryDirectory(prefix="vrtracker-")
        path = Path(folder.name) / name
        try:
            query.write(path)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(path, headers=saved, background=BackgroundTask(folder.cleanup))

    def query(self, asked: Asked) -> Any:
        """Return the rows that are asked for, in no order."""
        return self.service.query(self._condition(asked), include_scratched=asked.scratched)

    def only(self, keys: list[str]) -> Asked:
        """Return what asks for the rows with these keys."""
        if not keys:
            raise InvalidValueError("Nothing is chosen; tick rows first.")
        name = "key" if self.plural == "sessions" else "mouseName"
        quoted = ", ".join("'" + key.replace("'", "''") + "'" for key in keys)
        return Asked(f"{name} in ({quoted})", scratched=self.plural == "sessions")

    def check(self, asked: Asked) -> None:
        """Raise what is wrong with what is asked for; no row is read."""
        self._ordered(asked).select(*(asked.columns or ["*"])).sql()

    def counted(self, asked: Asked) -> dict[str, Any]:
        """Return how many rows pass, and where none does, what would."""
        count = self.query(asked).count()
        wider = () if count else self._wider(asked)
        return {"plural": self.plural, "passing": self._passing(count), "wider": wider}

    def _passing(self, count: int) -> str:
        """Say that so many rows pass."""
        noun = self.plural if count != 1 else {"sessions": "session", "mice": "mouse"}[self.plural]
        return f"{count} {noun} {'pass' if count != 1 else 'passes'}."

    def _ordered(self, asked: Asked) -> Any:
        if asked.order:
            return self.query(asked).order_by(asked.order)
        return narrowed(self.service, self.query(asked), (), asked.after or None)

    def _wider(self, asked: Asked) -> Iterator[tuple[str, str, int]]:
        """Yield what would find some where nothing is found: how, the link, and how many."""
        looser = {
            "Without the text": replace(asked, text=""),
            "Without the condition": replace(asked, where=""),
            "With scratched ones": replace(asked, scratched=True),
        }
        for how, other in looser.items():
            if other != asked and (count := self.query(other).count()):
                yield how, other.link(), count

    def _condition(self, asked: Asked) -> str | None:
        """Return the whole condition: what is asked, and the text in any column that holds some."""
        parts = [asked.where] if asked.where else []
        if asked.text:
            quoted = asked.text.replace("'", "''")
            parts.append(" or ".join(f"{name} contains '{quoted}'" for name in self._texts))
        return parts[0] if len(parts) == 1 else " and ".join(f"({each})" for each in parts) or None

    def _snippet(self, asked: Asked) -> str:
        """Return what asks for the same in Python."""
        options = {
            "columns": list(asked.columns),
            "order_by": [asked.order] if asked.order else None,
            "include_scratched": asked.scratched,
        }
        condition = self._condition(asked)
        told = [] if condition is None else [repr(condition)]
        told += [f"{name}={value!r}" for name, value in options.items() if value]
        return f"tracker.{self.plural}.frame({', '.join(told)})"

    def _line(self, asked: Asked) -> str:
        """Return what asks for the same in the shell."""
        line = ["vrtracker", self.plural, "list"]
        condition = self._condition(asked)
        line += [] if condition is None else ["--where", condition]
        line += ["--columns", ",".join(asked.columns)] if asked.columns else []
        line += [f"--order-by={asked.order}"] if asked.order else []
        line += ["--include-scratched"] if asked.scratched else []
        return shlex.join(line)


def _texts(service: RowService[Any, Any]) -> list[str]:
    """Return the columns that hold texts, but for those that tell a genotype."""
    columns = service.rules.look_ups.table.c
    return [c.name for c in columns if isinstance(c.type, String) and not tells_genotype(c.name)]


def _key(row: dict[str, Any]) -> str:
    return str(row.get("key", row["mouseName"]))
