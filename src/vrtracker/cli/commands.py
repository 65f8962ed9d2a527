"""Commands whose options are read when they are used.

typer reads the options of every command before it looks at the line; for fifty commands that
takes longer than most of them run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Together:
    """Marks a parameter that stands for the options of a function, and is what it returns."""

    make: Callable[..., Any]


class Group(TyperGroup):
    """A group whose help shows flags without a type, which they take none of."""

    def get_params(self, ctx: Any) -> Any:
        """Return the arguments and options."""
        return _untyped(super().get_params(ctx))


class Commands(typer.Typer):
    """A group of commands, which know their names and what they do, and the rest on demand."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group, **settings})

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """Make a function a command; settings are those of `typer.Typer.command`."""

        def register(function: Function) -> Function:
            called = name or function.__name__.replace("_", "-")
            settings["cls"] = partial(_Command, function)
            settings["help"] = inspect.getdoc(function)
            super(Commands, self).command(called, **settings)(_nothing)
            return function

        return register


def command_of(found: Callable[..., Any] | typer.Typer, name: str, **settings: Any) -> Any:
    """Return a function, or a group, as a command of this name."""
    if isinstance(found, typer.Typer):
        around = typer.Typer(add_completion=False)
        around.add_typer(found, name=name, **settings)
        return typer.main.get_group(around).commands[name]
    alone = Commands(add_completion=False)
    alone.command(name, **settings)(found)
    return typer.main.get_command(alone)


def _untyped(params: Any) -> Any:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes, in place of parameters that are `Together`, their options."""
    asked = inspect.signature(function, eval_str=True).parameters
    made = {
        name: mark.make
        for name, parameter in asked.items()
        for mark in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(mark, Together)
    }
    options = {name: inspect.signature(make).parameters for name, make in made.items()}

    def called(**given: Any) -> Any:
        for name, make in made.items():
            given[name] = make(**{each: given.pop(each) for each in options[name]})
        return function(**given)

    flat = [each for name in asked for each in options.get(name, {name: asked[name]}).values()]
    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in flat]
    called.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    return called


def _nothing() -> None:
    """Stand for a function while typer looks for options."""


class _Command(TyperCommand):
    """A command that has typer read a function's options on first use."""

    def __init__(self, function: Callable[..., Any], **settings: Any) -> None:
        self._function = function
        super().__init__(**settings)

    @cached_property
    def _read(self) -> Any:
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(_spread(self._function))
        return typer.main.get_command(alone)

    @property
    def params(self) -> Any:
        """The arguments and options."""
        return self._read.params

    @params.setter
    def params(self, _of_nothing: Any) -> None:
        pass

    def get_params(self, ctx: Any) -> Any:
        """Return them, and that for help."""
        return _untyped(super().get_params(ctx))

    @property
    def callback(self) -> Any:
        """What calls the function with them."""
        return self._read.callback

    @callback.setter
    def callback(self, _of_nothing: Any) -> None:
        pass
