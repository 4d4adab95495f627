"""Numba's types for `Tables`: the set is a pointer, a table in it a pointer and a length, a row a record.

Indexing a design's tables checks bounds, because a design's mistake must not corrupt a result silently. The
addresses of a set never change while compiled code runs, so their loads are marked invariant and can be moved
out of loops.
"""

from __future__ import annotations

import hashlib
import operator
from functools import cache
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    infer,
    infer_getattr,
    lower_builtin,
    lower_getattr_generic,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.numpy_support import from_dtype

from pipeline.jit.tables import Tables


def _digest(content: Any) -> str:
    """Represent a layout in a type's name: Numba builds function names from the names of their types."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


class TableType(types.Type):
    """One table; `dtype` is the Numba type of a row; `checked` says whether indexing checks bounds."""

    def __init__(self, dtype: Any, checked: bool) -> None:
        self.dtype = dtype
        self.checked = checked
        super().__init__(name=f"Table({_digest(dtype)}, {checked})")


class TablesType(types.Type):
    """A set of tables; `members` pairs each name with the Numba type of a row."""

    def __init__(self, members: tuple[tuple[str, Any], ...], checked: bool) -> None:
        self.members = members
        self.checked = checked
        super().__init__(name=f"Tables({_digest(members)}, {checked})")


@register_model(TableType)
class _TableModel(models.StructModel):
    def __init__(self, manager: Any, fe_type: TableType) -> None:
        members = [("data", types.voidptr), ("count", types.int64)]
        super().__init__(manager, fe_type, members)


@register_model(TablesType)
class _TablesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: TablesType) -> None:
        super().__init__(manager, fe_type, ir.IntType(64).as_pointer())


@typeof_impl.register(Tables)
def _typeof(value: Tables, context: Any) -> TablesType:
    # Called at every call from Python; computing the type again would take a millisecond.
    return _type_of_layout(value.layout, value.checked)


@cache
def _type_of_layout(layout: tuple[tuple[str, Any], ...], checked: bool) -> TablesType:
    return TablesType(tuple((name, from_dtype(dtype)) for name, dtype in layout), checked)


@unbox(TablesType)
def _unbox(kind: TablesType, value: Any, c: Any) -> NativeValue:
    address = c.pyapi.object_getattr_string(value, "address")
    native = c.pyapi.long_as_longlong(address)
    c.pyapi.decref(address)
    pointer = c.builder.inttoptr(native, ir.IntType(64).as_pointer())
    return NativeValue(pointer, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@infer_getattr
class _TablesAttribute(AttributeTemplate):
    key = TablesType

    def generic_resolve(self, kind: Any, name: str) -> Any:  # type: ignore[override] # untyped there
        dtype = dict(kind.members).get(name)
        return None if dtype is None else TableType(dtype, kind.checked)


@lower_getattr_generic(TablesType)
def _get_table(context: Any, builder: Any, kind: TablesType, value: Any, name: str) -> Any:
    position = [member for member, _ in kind.members].index(name)

    def word(k: int) -> Any:
        load = builder.load(builder.gep(value, [ir.Constant(ir.IntType(64), k)]))
        load.set_metadata("invariant.load", builder.module.add_metadata([]))
        return load

    table = cgutils.create_struct_proxy(TableType(dict(kind.members)[name], kind.checked))(context, builder)
    table.data = builder.inttoptr(word(2 * position), table.data.type)
    table.count = word(2 * position + 1)
    return table._getvalue()


@infer
class _GetItem(AbstractTemplate):
    key = "static_getitem"

    def generic(self, args: Any, kws: Any) -> Any:
        table, index = args
        if isinstance(table, TableType) and isinstance(index, int):
            return signature(table.dtype, table, types.intp)
        return None


@infer_global(operator.getitem)
class _GetItemDynamic(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index = args
        if isinstance(table, TableType) and isinstance(index, types.Integer):
            return signature(table.dtype, table, types.intp)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index, _ = args
        if isinstance(table, TableType) and isinstance(index, types.Integer):
            # A record may be stored into a type that has the same first fields: only those are copied.
            kept = args[2] if isinstance(table.dtype, types.Record) else table.dtype
            return signature(types.none, table, types.intp, kept)
        return None


def row_pointer(context: Any, builder: Any, kind: TableType, value: Any, index: Any, checked: bool) -> Any:
    """Emit the address of a row, after a check of the index if `checked`."""
    table = cgutils.create_struct_proxy(kind)(context, builder, value=value)
    if checked:
        outside = builder.icmp_unsigned(">=", index, table.count)
        with cgutils.if_unlikely(builder, outside):
            text = "a design indexed beyond one of its tables"
            context.call_conv.return_user_exc(builder, IndexError, (text,))
    row = context.get_data_type(kind.dtype).as_pointer()
    return builder.gep(builder.bitcast(table.data, row), [index])


@lower_builtin(operator.getitem, TableType, types.Integer)
def _get_row(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = row_pointer(context, builder, sig.args[0], args[0], args[1], sig.args[0].checked)
    if isinstance(sig.return_type, types.Record):
        return pointer
    return builder.load(pointer)


@lower_builtin("static_getitem", TableType, types.Any)
def _get_row_at(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    index = ir.Constant(ir.IntType(64), args[1])
    return _get_row(context, builder, sig, (args[0], index))


@lower_builtin(operator.setitem, TableType, types.Integer, types.Any)
def _set_row(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = sig.args[0]
    pointer = row_pointer(context, builder, kind, args[0], args[1], kind.checked)
    if isinstance(kind.dtype, types.Record):
        size = ir.Constant(ir.IntType(64), kind.dtype.size)
        cgutils.raw_memcpy(builder, pointer, args[2], size, 1)
    else:
        builder.store(args[2], pointer)
    return context.get_dummy_value()
