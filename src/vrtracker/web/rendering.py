"""From facts to pages: the templates, and the forms that come back."""

from __future__ import annotations

import datetime as dt
import hmac
import http
import re
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from vrtracker.domain.qc import QC
from vrtracker.domain.roles import Role
from vrtracker.domain.stages import StageKind
from vrtracker.tracker import Tracker
from vrtracker.web.problems import ONLY_READS, Refusal
from vrtracker.web.visits import current

TEMPLATES = Path(__file__).parent / "templates"
_ON_PAGES = (
    (r"[:,] \.apply\(\) (does|writes) it", ""),
    (r'Say which it is: map=\{"[^"]*": "…"\}', "Write a column's name in its place."),
    (r'Leave it out: map=\{"": ""\}', "Take that column out of the table."),
    (r"give registrar=…, or set it", "set one"),
    (r"workflow\.complete\(key, '\w+'\)", "say so on the session's page"),
    (r"use set_qc", "judge it on its page"),
)
"""The library's remedies as one finds them on the pages."""
_FORMS = ("edit.html", "enter.html", "import.html")
"""What is of no use to who only reads."""


class Given(dict[str, str]):
    """What a form sends: the last value of each field, and all of one by `all`."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value for each, value in self._pairs if each == name]

    def text(self, name: str) -> str | None:
        """Return a field's text, None where it is empty."""
        return self.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        """Return a field's whole number, None where it holds none."""
        text = self.get(name, "")
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


async def _given(request: Request) -> Given:
    """Return what a form of one of this visit's pages sends.

    Raises Refusal if it does not bear the visit's mark.
    """
    body = (await request.body()).decode("utf-8", "replace")
    given = Given(parse_qsl(body, keep_blank_values=True))
    if not hmac.compare_digest(given.pop("mark", "").encode(), current.get().form_mark.encode()):
        raise Refusal(
            http.HTTPStatus.FORBIDDEN,
            "stale_form",
            "The form is not of this visit; nothing was written.",
            "Load the page again.",
        )
    return given


Form = Annotated[Given, Depends(_given)]


class Renderer:
    """Makes pages about one lab."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._zone = tracker._lab.zone  # noqa: SLF001
        role = tracker.role
        may_write = role is not None and role.includes(Role.EDITOR)
        self._may_write = may_write and not tracker.database.readonly
        stages = tracker.workflow.stages.values()
        self._reviews = [
            each.name.removesuffix("_qc") for each in stages if each.kind is StageKind.REVIEW
        ]

    def show(
        self, name: str, facts: Mapping[str, Any] | None = None, status: int = 200
    ) -> HTMLResponse:
        """Return a page; `facts` are what its template speaks of."""
        visit = current.get()
        may_write = self._may_write and visit.may_write
        if name in _FORMS and not may_write:
            only_reads = self._tracker.database.readonly
            said = ONLY_READS if only_reads else "A reader changes nothing."
            raise Refusal(http.HTTPStatus.FORBIDDEN, "only_reads", said, "")
        common = {
            "database": self._tracker.url,
            "person": visit.person,
            "may_write": may_write,
            "reviews": self._reviews,
            "mark": Markup('<input type="hidden" name="mark" value="{}">').format(visit.form_mark),
        }
        template = _environment(self._zone).get_template(name)
        return HTMLResponse(template.render(common | dict(facts or {})), status)


def on_pages(message: str) -> str:
    """Return a message of the library with its remedies as one finds them on the pages."""
    for library, page in _ON_PAGES:
        message = re.sub(library, page, message)
    return message


def then(path: str) -> RedirectResponse:
    """Go on to a page, once something is done."""
    return RedirectResponse(path, http.HTTPStatus.SEE_OTHER)


def in_path(text: object) -> str:
    """Return a text as a part of an address."""
    return quote(str(text), safe="")


@cache
def _environment(zone: dt.tzinfo | None) -> Environment:
    """Return what makes pages of templates, with times by the clock of a zone, told as `zone`."""
    made = Environment(
        loader=PackageLoader("vrtracker.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"path": in_path, "level": _level, "cell": _cell, "age": _age}
    made.filters["on_pages"] = on_pages
    made.filters["when"] = partial(_when, zone=zone)
    made.globals["zone"] = "/".join(dict.fromkeys(time.tzname)) if zone is None else str(zone)
    return made


def _when(text: str, zone: dt.tzinfo | None) -> str:
    """Return a time in UTC by the clock of a zone, the server's own where it is None."""
    if not text:
        return ""
    return f"{dt.datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _level(number: int) -> str:
    return QC(number).name


def _cell(value: Any) -> str:
    """Return a value of a row as it stands in a table: a tick box as yes or nothing."""
    if value is None or value is False:
        return ""
    return "yes" if value is True else str(value)


def _age(seconds: float | None) -> str:
    """Return a span of time in its two largest parts."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    told = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(told[:2]) or "0 s"
