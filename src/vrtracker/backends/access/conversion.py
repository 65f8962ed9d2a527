"""What Jackcess is to make of SQLAlchemy's tables, columns, indexes and keys."""

# A table's copy and its autonumber are asked for by names that the library keeps to itself.

from __future__ import annotations

import logging
import re
from typing import Any

from sqlalchemy import schema as sa_schema

from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access.inspection import Relationship
from vrtracker.backends.access.refusals import refuse
from vrtracker.backends.caseless import is_caseless
from vrtracker.errors import BackendError

_KINDS = {
    "LONG": "LONG",
    "DOUBLE": "DOUBLE",
    "MEMO": "MEMO",
    "TEXT": "TEXT",
    "YESNO": "BOOLEAN",
    "DATETIME": "SHORT_DATE_TIME",
    "DECIMAL": "NUMERIC",
    "OLE": "OLE",
    "LONGBINARY": "OLE",
}
_TYPE = re.compile(r"(\w+)(?:\((\d+)(?:, (\d+))?\))?")
_log = logging.getLogger(__name__)


def new_column(dialect: Any, column: Any, *, autonumber: bool = False) -> ops.NewColumn:
    """Return what Jackcess is to make of a SQLAlchemy column."""
    text = dialect.type_compiler_instance.process(column.type)
    found = _TYPE.fullmatch(text)
    if found is None or found.group(1) not in _KINDS:
        raise BackendError(f"Access has no column type for {column.type!r}; use a portable one.")
    kind = _KINDS[found.group(1)]
    first, second = int(found.group(2) or 0), int(found.group(3) or 0)
    return ops.NewColumn(
        name=str(column.name),
        kind="LONG" if autonumber else kind,
        length=first if kind == "TEXT" else 0,
        precision=first if kind == "NUMERIC" else 0,
        scale=second,
        autonumber=autonumber,
        required=not column.nullable and kind != "BOOLEAN",
    )


def without_extras(table: Any) -> Any:
    """Return a copy without CHECK constraints, server defaults, comments and caseless indexes."""
    conventions = table.metadata.naming_convention
    metadata = sa_schema.MetaData(naming_convention=conventions)
    # What its foreign keys refer to must be known by name.
    for parent in {key.referred_table for key in table.foreign_key_constraints} - {table}:
        parent.to_metadata(metadata)
    copy = table.to_metadata(metadata)
    for constraint in list(copy.constraints):
        if isinstance(constraint, sa_schema.CheckConstraint):
            _log.warning("CHECK constraint %s left out: Access has none", constraint.name)
            copy.constraints.remove(constraint)
    for column in copy.columns:
        if column.server_default is not None:
            _log.warning("server default of %s.%s left out", table.name, column.name)
            column.server_default = None
        column.comment = None
    copy.comment = None
    copy.indexes -= {index for index in copy.indexes if is_caseless(index)}
    return copy


def new_indexes(table: Any) -> list[ops.NewIndex]:
    """Return the primary key, the unique constraints and the indexes of a table."""
    found = []
    if len(table.primary_key.columns):
        key = table.primary_key
        found.append(ops.NewIndex(key_name(key), key_names(key.columns), unique=True, primary=True))
    found.extend(
        ops.NewIndex(key_name(constraint), key_names(constraint.columns), unique=True)
        for constraint in sorted(table.constraints, key=lambda one: str(one.name))
        if isinstance(constraint, sa_schema.UniqueConstraint)
    )
    found.extend(
        ops.NewIndex(str(index.name), key_names(index.columns), unique=bool(index.unique))
        for index in sorted(table.indexes, key=lambda one: str(one.name))
    )
    return found


def key_name(constraint: Any) -> str:
    """Return the name of a primary or unique key, one of our making if it has none."""
    if constraint.name:
        return str(constraint.name)
    if isinstance(constraint, sa_schema.PrimaryKeyConstraint):
        return "PrimaryKey"
    return "uq_" + "_".join(key_names(constraint.columns))


def key_names(columns: Any) -> tuple[str, ...]:
    """Return the names of the columns of a key."""
    return tuple(str(column.name) for column in columns)


def relationship_of(key: Any) -> Relationship:
    """Return the relationship that a foreign key becomes.

    Raises CompileError if it asks for ON DELETE, ON UPDATE or DEFERRABLE.
    """
    if key.ondelete or key.onupdate or key.deferrable is not None:
        refuse("ON DELETE, ON UPDATE or DEFERRABLE")
    return Relationship(
        name=str(key.name or ""),
        parent=str(key.elements[0].target_fullname.rsplit(".", 1)[0]),
        parent_columns=tuple(
            str(element.target_fullname.rsplit(".", 1)[1]) for element in key.elements
        ),
        child=str(key.parent.name),
        child_columns=tuple(str(name) for name in key.column_keys),
        enforced=True,
        cascade_updates=False,
        cascade_deletes=False,
    )
