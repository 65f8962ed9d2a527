"""The SQL of Access, in the part that Microsoft's engine and UCanAccess both accept.

What Access lacks is refused with the remedy; nothing is left out silently, and expressions
are never changed, since other backends compile the same ones.
"""

# The signatures and the names are the library's.
# ruff: noqa: ARG002, D102, FBT001, FBT002, SLF001

from __future__ import annotations

import itertools
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sqlalchemy import sql
from sqlalchemy import types as sqltypes
from sqlalchemy.sql import compiler, elements, operators, selectable, visitors

from vrtracker.backends.access.refusals import refuse
from vrtracker.backends.access.types import BracketedPattern, RegexPattern

_DATE_PARTS = {
    "year": "yyyy",
    "quarter": "q",
    "month": "m",
    "week": "ww",
    "day": "d",
    "doy": "y",
    "dow": "w",
    "hour": "h",
    "minute": "n",
    "second": "s",
}
_CONVERSIONS: tuple[tuple[type[sqltypes.TypeEngine[Any]], str], ...] = (
    (sqltypes.Boolean, "CBool"),
    (sqltypes.Integer, "CLng"),
    (sqltypes.Numeric, "CDbl"),
)
_EMPTY_IN = {operators.in_op: "NULL) AND (1 <> 1", operators.not_in_op: "NULL) OR (1 = 1"}


# SQLAlchemy's compilers carry no annotations.
_Compiler: Any = compiler.SQLCompiler


class AccessCompiler(_Compiler):  # type: ignore[misc]
    """Compiles SELECT, INSERT, UPDATE and DELETE."""

    # --- SELECT as a whole ---

    def default_from(self) -> str:
        return str(getattr(self.dialect, "from_for_constants", ""))

    def get_select_precolumns(self, select: Any, **kw: Any) -> str:
        if select._distinct_on:
            refuse("DISTINCT ON")
        text: str = super().get_select_precolumns(select, **kw)
        limit = self._limit_of(select)
        if limit is None:
            return text
        if select._distinct:
            refuse("LIMIT on a DISTINCT query")
        kw["literal_execute"] = True
        return f"{text}TOP {self.process(limit, **kw)} "

    def _limit_of(self, select: Any) -> Any:
        offset = select._offset_clause
        if offset is not None and not (select._simple_int_clause(offset) and select._offset == 0):
            refuse("OFFSET")
        options = select._fetch_clause_options or {}
        if options.get("percent") or options.get("with_ties"):
            refuse("PERCENT or WITH TIES")
        limit = select._limit_clause if select._fetch_clause is None else select._fetch_clause
        if limit is not None and not select._simple_int_clause(limit):
            refuse("a LIMIT that is an expression")
        return limit

    def limit_clause(self, select: Any, **kw: Any) -> str:
        if isinstance(select, selectable.CompoundSelect) and self._limit_of(select) is not None:
            refuse("LIMIT on a UNION")
        return ""

    def fetch_clause(self, select: Any, *_: Any, **kw: Any) -> str:
        return self.limit_clause(select, **kw)

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        refuse("FOR UPDATE")

    def visit_compound_select(self, cs: Any, *args: Any, **kw: Any) -> Any:
        word = cs.keyword.name.removesuffix("_ALL")
        if word in ("EXCEPT", "INTERSECT"):
            refuse(word)
        return super().visit_compound_select(cs, *args, **kw)

    def visit_cte(self, cte: Any, *_: Any, **kw: Any) -> Any:
        refuse("a common table expression (WITH)")

    def visit_lateral(self, lateral_: Any, **kw: Any) -> Any:
        refuse("LATERAL")

    def visit_values(self, element: Any, *_: Any, **kw: Any) -> Any:
        refuse("VALUES as a table")

    def visit_table(self, table: Any, *args: Any, **kw: Any) -> Any:
        if getattr(table, "schema", None):
            refuse("a schema name")
        return super().visit_table(table, *args, **kw)

    def visit_join(
        self,
        join: Any,
        asfrom: bool = False,
        from_linter: Any = None,
        **kw: Any,
    ) -> str:
        if join.full:
            refuse("a full outer join")
        if from_linter:
            from_linter.edges.update(
                itertools.product(join.left._from_objects, join.right._from_objects)
            )
        kw["from_linter"] = from_linter
        left = join.left._compiler_dispatch(self, asfrom=True, **kw)
        right = join.right._compiler_dispatch(self, asfrom=True, **kw)
        on = join.onclause._compiler_dispatch(self, **kw)
        if isinstance(join.onclause, elements.BooleanClauseList):
            # Microsoft's engine wants a compound condition in parentheses of its own.
            on = f"({on})"
        kind = "LEFT OUTER JOIN" if join.isouter else "INNER JOIN"
        joined = f"{left} {kind} {right} ON {on}"
        return f"({joined})" if self.dialect.nests_joins else joined

    # --- INSERT, UPDATE, DELETE ---

    def visit_insert(self, insert_stmt: Any, *args: Any, **kw: Any) -> Any:
        if insert_stmt._multi_values:
            refuse("several rows in VALUES")
        return super().visit_insert(insert_stmt, *args, **kw)

    def visit_update(self, update_stmt: Any, *args: Any, **kw: Any) -> Any:
        values = dict(update_stmt._values or ())
        values.update(getattr(update_stmt, "_ordered_values", None) or ())
        for value in values.values():
            if any(isinstance(part, selectable.SelectBase) for part in visitors.iterate(value)):
                refuse("UPDATE with a subquery as a value")
        return super().visit_update(update_stmt, *args, **kw)

    def update_from_clause(self, *_: Any, **kw: Any) -> Any:
        refuse("UPDATE from several tables")

    def update_tables_clause(
        self, update_stmt: Any, from_table: Any, extra_froms: Any, **kw: Any
    ) -> Any:
        if extra_froms:
            refuse("UPDATE from several tables")
        return super().update_tables_clause(update_stmt, from_table, extra_froms, **kw)

    def delete_extra_from_clause(self, *_: Any, **kw: Any) -> Any:
        refuse("DELETE from several tables")

    def returning_clause(self, *_: Any, **kw: Any) -> Any:
        refuse("RETURNING")

    # --- Expressions ---

    def visit_bindparam(self, bindparam: Any, *args: Any, **kw: Any) -> Any:
        if kw.get("within_columns_clause") and _has_literal(bindparam, self.dialect):
            # UCanAccess gives a parameter that is a whole column back as text.
            kw["literal_execute"] = True
        if bindparam in self.literal_execute_params:
            # What is written out once, as in a column that the order goes by, is never sent.
            kw["literal_execute"] = True
        if bindparam.expanding and getattr(self.dialect, "lists_are_parameters", False):
            bindparam = bindparam._clone(maintain_key=True)
            bindparam.literal_execute = False
        return super().visit_bindparam(bindparam, *args, **kw)

    def visit_true(self, expr: Any, **kw: Any) -> str:
        return "True"

    def visit_false(self, expr: Any, **kw: Any) -> str:
        return "False"

    def visit_case(self, clause: Any, **kw: Any) -> str:
        text = "NULL" if clause.else_ is None else self._result(clause.else_, **kw)
        subject = None if clause.value is None else self.process(clause.value, **kw)
        for condition, result in reversed(clause.whens):
            test = self.process(condition, **kw)
            if subject is not None:
                test = f"{subject} = {test}"
            text = f"IIf({test}, {self._result(result, **kw)}, {text})"
        return text

    def _result(self, expression: Any, **kw: Any) -> str:
        """Render a result of IIf; UCanAccess takes no parameter without a type there."""
        inner = expression.element if isinstance(expression, elements.Grouping) else expression
        if isinstance(inner, elements.BindParameter):
            kw["literal_execute"] = True
        return str(self.process(inner, **kw))

    def visit_coalesce_func(self, func: Any, **kw: Any) -> str:
        *firsts, last = func.clauses
        text = self._result(last, **kw)
        for expression in reversed(firsts):
            value = self._result(expression, **kw)
            text = f"IIf({value} IS NULL, {text}, {value})"
        return text

    def visit_nullif_func(self, func: Any, **kw: Any) -> str:
        value, other = func.clauses
        shown = self._result(value, **kw)
        return f"IIf({shown} = {self.process(other, **kw)}, NULL, {shown})"

    def visit_cast(self, cast: Any, **kw: Any) -> str:
        text = self._result(cast.clause, **kw)
        target = cast.type.dialect_impl(self.dialect)
        source = cast.clause.type.dialect_impl(self.dialect)
        if text == "NULL" or isinstance(source, type(target)):
            return text
        # The conversions fail on NULL, and UCanAccess runs both branches of IIf.
        if isinstance(target, sqltypes.String):
            return f"IIf({text} IS NULL, NULL, {text} & '')"
        filler = "'0'" if isinstance(source, sqltypes.String) else "0"
        for candidate, function in _CONVERSIONS:
            if isinstance(target, candidate):
                converted = f"{function}(IIf({text} IS NULL, {filler}, {text}))"
                return f"IIf({text} IS NULL, NULL, {converted})"
        return text

    def _renamed(self, name: str, func: Any, **kw: Any) -> str:
        arguments = ", ".join(self.process(clause, **kw) for clause in func.clauses)
        return f"{name}({arguments})"

    def visit_length_func(self, func: Any, **kw: Any) -> str:
        return self._renamed("Len", func, **kw)

    visit_char_length_func = visit_length_func

    def visit_lower_func(self, func: Any, **kw: Any) -> str:
        return self._renamed("LCase", func, **kw)

    def visit_upper_func(self, func: Any, **kw: Any) -> str:
        return self._renamed("UCase", func, **kw)

    def visit_substr_func(self, func: Any, **kw: Any) -> str:
        return self._renamed("Mid", func, **kw)

    visit_substring_func = visit_substr_func

    def visit_now_func(self, func: Any, **kw: Any) -> str:
        return "Now()"

    visit_current_timestamp_func = visit_localtimestamp_func = visit_now_func

    def visit_current_date_func(self, func: Any, **kw: Any) -> str:
        return "Date()"

    def visit_extract(self, extract: Any, **kw: Any) -> str:
        part = _DATE_PARTS.get(extract.field, extract.field)
        return f"DatePart('{part}', {self.process(extract.expr, **kw)})"

    def visit_over(self, over: Any, **kw: Any) -> str:
        refuse("a window function (OVER)")

    def visit_funcfilter(self, funcfilter: Any, **kw: Any) -> str:
        refuse("an aggregate with FILTER")

    def visit_distinct_op_unary_operator(self, element: Any, operator: Any, **kw: Any) -> str:
        refuse("COUNT(DISTINCT ...)")

    def visit_tuple(self, clauselist: Any, **kw: Any) -> str:
        refuse("IN on several columns")

    def visit_empty_set_op_expr(self, type_: Any, expand_op: Any, **kw: Any) -> str:
        return _EMPTY_IN[expand_op]

    # --- Operators ---

    def visit_ne_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._between(binary, " <> ", **kw)

    def visit_concat_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._between(binary, " & ", **kw)

    def visit_mod_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        left, right = self.process(binary.left, **kw), self.process(binary.right, **kw)
        return f"({left} - {right} * Fix(({left} * 1.0) / {right}))"

    def visit_truediv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        # UCanAccess divides integers to an integer, Microsoft's engine does not.
        return f"({self.process(binary.left, **kw)} * 1.0) / {self.process(binary.right, **kw)}"

    def visit_floordiv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return f"Int({self.visit_truediv_binary(binary, operator, **kw)})"

    def visit_is__binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._between(binary, " = " if _is_flag(binary.right) else " IS ", **kw)

    def visit_is_not_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._between(binary, " <> " if _is_flag(binary.right) else " IS NOT ", **kw)

    def _between(self, binary: Any, sign: str, **kw: Any) -> str:
        return f"{self.process(binary.left, **kw)}{sign}{self.process(binary.right, **kw)}"

    def visit_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._like(binary, "LIKE", **kw)

    def visit_not_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._like(binary, "NOT LIKE", **kw)

    def visit_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._like(binary, "LIKE", fold=True, **kw)

    def visit_not_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return self._like(binary, "NOT LIKE", fold=True, **kw)

    def _like(self, binary: Any, word: str, *, fold: bool = False, **kw: Any) -> str:
        takes_escape = getattr(self.dialect, "like_takes_escape", False)
        escape = binary.modifiers.get("escape")
        pattern = binary.right
        if not takes_escape and isinstance(pattern, elements.BindParameter):
            pattern = pattern._clone(maintain_key=True)
            pattern.type = BracketedPattern(escape)
            escape = None
        if takes_escape and isinstance(pattern, elements.BindParameter):
            pattern = pattern._clone(maintain_key=True)
            pattern.type = RegexPattern(escape, fold)
            text = self.process(binary.left, **kw)
            text = self._folded(text) if fold else text
            matches = f"REGEXP_MATCHES({text}, {self.process(pattern, **kw)})"
            return f"NOT {matches}" if word.startswith("NOT") else matches
        left, right = self.process(binary.left, **kw), self.process(pattern, **kw)
        if fold:
            left, right = self._folded(left), self._folded(right)
        text = f"{left} {word} {right}"
        if escape is None:
            return text
        if not takes_escape:
            refuse("LIKE with ESCAPE")
        return f"{text} ESCAPE {self.render_literal_value(escape, sqltypes.STRINGTYPE)}"

    def _folded(self, text: str) -> str:
        """Make the 26 letters small, as the other backends do; Microsoft's LIKE folds by itself."""
        if not getattr(self.dialect, "like_takes_escape", False):
            return text
        return f"TRANSLATE({text}, '{ascii_uppercase}', '{ascii_lowercase}')"

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        refuse("regular expressions")

    visit_not_regexp_match_op_binary = visit_regexp_match_op_binary
    visit_regexp_replace_op_binary = visit_regexp_match_op_binary

    def visit_is_distinct_from_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        refuse("IS DISTINCT FROM")

    visit_is_not_distinct_from_binary = visit_is_distinct_from_binary

    def visit_nulls_first_op_unary_modifier(self, element: Any, operator: Any, **kw: Any) -> str:
        refuse("NULLS FIRST or LAST")

    visit_nulls_last_op_unary_modifier = visit_nulls_first_op_unary_modifier


def _has_literal(bindparam: Any, dialect: Any) -> bool:
    return bindparam.type._cached_literal_processor(dialect) is not None


def _is_flag(expression: Any) -> bool:
    return isinstance(expression, (sql.elements.True_, sql.elements.False_))
