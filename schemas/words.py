"""Eight bytes at any position of a byte array as one integer, in kernels: one machine word."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    address = builder.gep(data, [at])
    return builder.bitcast(address, ir.IntType(64).as_pointer())


@intrinsic
def load_word(typing_context: Any, data: Any, at: Any) -> Any:
    """The little-endian int64 at `data[at:at + 8]`; the caller has checked the bounds."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=1)

    return types.int64(data, types.int64), code


@intrinsic
def store_word(typing_context: Any, data: Any, at: Any, word: Any) -> Any:
    """Puts an int64 at `data[at:at + 8]`, little-endian; the caller has checked the bounds."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, position, value = arguments
        pointer = _pointer(context, builder, signature.args[0], array, position)
        builder.store(value, pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.int64), code
