"""A SIMD vector as a numba value: what the kernels compute with, one lane a sample.

LLVM does not turn every loop over samples into vector instructions; explicit vectors always
become some. The number of lanes is given as the length of a tuple of None, which is a type and
so costs nothing at run time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model


class Vector(types.Type):  # type: ignore[misc]
    """`lanes` numbers of one floating-point type."""

    def __init__(self, dtype: types.Float, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        element = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(element, fe_type.lanes))


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any, vector: Vector) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), context.get_value_type(vector).as_pointer())


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = a.type
    suffix = "f32" if isinstance(kind.element, ir.FloatType) else "f64"
    signature = ir.FunctionType(kind, [kind, kind, kind])
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.v{kind.count}{suffix}")
    return builder.call(function, [a, b, c])


def _negated(builder: Any, a: Any) -> Any:
    return builder.fsub(ir.Constant(a.type, [-0.0] * a.type.count), a)


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, array: Any, at: Any, lanes: Any) -> Any:
    """The vector at index `at` of a flat array."""
    vector = Vector(array.dtype, len(lanes))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1], vector)
        return builder.load(address, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Writes a vector at index `at` of a flat array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1], value)
        builder.store(args[2], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, value), codegen


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, array: Any, at: Any) -> Any:
    """Prefetches the cache line of index `at` of a flat array into the second-level cache."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(data, [args[1]]), address)
        # Read (0) into the second level (2), data (1). Prefetched for writing, a line goes into the first.
        builder.call(function, [place, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def splat(typing: Any, array: Any, number: Any, lanes: Any) -> Any:
    """`number`, rounded to the array's type, in every lane."""
    vector = Vector(array.dtype, len(lanes))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = context.cast(builder, args[1], signature.args[1], array.dtype)
        kind, first = context.get_value_type(vector), ir.Constant(ir.IntType(32), 0)
        single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, first)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), [0] * len(lanes))
        return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), everywhere)

    return vector(array, number, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def cast(typing: Any, array: Any, value: Any) -> Any:
    """A vector in the precision of `array`."""
    vector = Vector(array.dtype, value.lanes)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(vector)
        if array.dtype.bitwidth == value.dtype.bitwidth:
            return args[1]
        if array.dtype.bitwidth < value.dtype.bitwidth:
            return builder.fptrunc(args[1], kind)
        return builder.fpext(args[1], kind)

    return vector(array, value), codegen


@intrinsic  # type: ignore[untyped-decorator]
def add(typing: Any, a: Any, b: Any) -> Any:
    """A + b."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args)

    return a(a, b), codegen


@intrinsic  # type: ignore[untyped-decorator]
def mul(typing: Any, a: Any, b: Any) -> Any:
    """A * b."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*args)

    return a(a, b), codegen


@intrinsic  # type: ignore[untyped-decorator]
def neg(typing: Any, a: Any) -> Any:
    """-a."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _negated(builder, args[0])

    return a(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """A * b + c, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _fused(builder, *args)

    return a(a, b, c), codegen


@intrinsic  # type: ignore[untyped-decorator]
def fnma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """C - a * b, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _fused(builder, _negated(builder, args[0]), args[1], args[2])

    return a(a, b, c), codegen


@intrinsic  # type: ignore[untyped-decorator]
def total(typing: Any, a: Any) -> Any:
    """The sum over lanes, in their order."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        result = ir.Constant(args[0].type.element, 0.0)
        for lane in range(a.lanes):
            result = builder.fadd(result, builder.extract_element(args[0], ir.Constant(ir.IntType(32), lane)))
        return result

    return a.dtype(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def parity(typing: Any, bits: Any) -> Any:
    """Whether an odd number of bits is set: 0 or 1."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.and_(builder.call(count, [args[0]]), ir.Constant(ir.IntType(64), 1))

    return types.int64(types.int64), codegen
