"""Vectors of 16 lanes for code that numba compiles: each operation is one strict IEEE operation per lane.

Explicit vectors fix the order of every sum in the source and leave the compiler nothing to reassociate: a CPU with
shorter registers needs more instructions per vector and gives the same bits. No operations are contracted to fused
multiply-adds, and no fast-math flag is set.
"""

# ruff: noqa: ARG001 - numba reads an intrinsic's arguments from the signature of its Python function
# mypy: allow-untyped-calls

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

# Compiled code calls an intrinsic without the typing context that its Python function takes.
intrinsic: Any = extending.intrinsic

LANES = 16
#: In bytes: the size of a cache line, and of the widest vector register.
ALIGNMENT = 64


class Vector(types.Type):
    """The numba type of `LANES` floats of the type `scalar`."""

    def __init__(self, scalar: Any) -> None:
        super().__init__(name=f"Vector({scalar} x {LANES})")
        self.scalar = scalar


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(manager.lookup(vector.scalar).get_value_type(), LANES))


def _splat(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(
        ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined), scalar, ir.IntType(32)(0)
    )
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _define(function: Callable[..., Any], instruction: str) -> None:
    """Let compiled code apply `function` to two vectors, or to a vector and a scalar that is used in every lane."""

    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            vectors = [arg for arg in args if isinstance(arg, Vector)]
            if not vectors or kws:
                return None
            return signature(vectors[0], *(vectors[0] if isinstance(a, Vector) else vectors[0].scalar for a in args))

    def lower(_context: Any, builder: Any, sig: Any, args: Any) -> Any:
        operands = (a if isinstance(t, Vector) else _splat(builder, a) for t, a in zip(sig.args, args, strict=True))
        return getattr(builder, instruction)(*operands)

    for pair in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(function, *pair)(lower)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")


def _of(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return the code generator of an intrinsic that needs no types: `build` takes the builder and the arguments."""
    return lambda _context, builder, _sig, args: build(builder, *args)


@intrinsic(prefer_literal=True)
def scratch(_typing: Any, length: Any, dtype: Any) -> Any:
    """Return a pointer to `length` floats on the stack, aligned.

    LLVM knows that a stack address that never leaves the function cannot alias the weights: it keeps sums in registers
    and emits no checks for overlap.
    """
    scalar = dtype.dtype

    def codegen(context: Any, builder: Any, _sig: Any, _args: Any) -> Any:
        with builder.goto_entry_block():
            block = builder.alloca(ir.ArrayType(context.get_value_type(scalar), length.literal_value))
            block.align = ALIGNMENT
        return builder.bitcast(block, context.get_value_type(scalar).as_pointer())

    return types.CPointer(scalar)(length, dtype), codegen


@intrinsic
def pointer(_typing: Any, array: Any) -> Any:
    """Return a pointer to an array's first element, which is indexed without support for negative indices; or None."""
    if array is types.none:
        return types.none(array), lambda context, *_: context.get_dummy_value()

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


def _address(builder: Any, base: Any, offset: Any, target: Any) -> Any:
    return builder.bitcast(builder.gep(base, [offset]), target.as_pointer())


@intrinsic
def load(_typing: Any, base: Any, offset: Any) -> Any:
    """Return the vector at `base + offset`, which must be aligned."""
    vector = Vector(base.dtype)

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.load(_address(builder, args[0], args[1], context.get_value_type(vector)), align=ALIGNMENT)

    return vector(base, types.intp), codegen


@intrinsic
def store(_typing: Any, base: Any, offset: Any, value: Any) -> Any:
    """Write a vector to `base + offset`, which must be aligned."""
    vector = Vector(base.dtype)

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        builder.store(args[2], _address(builder, args[0], args[1], context.get_value_type(vector)), align=ALIGNMENT)
        return context.get_dummy_value()

    return types.none(base, types.intp, vector), codegen


@intrinsic
def zeros(_typing: Any, base: Any) -> Any:
    """Return a vector of zeros of the type that `base` points to."""
    vector = Vector(base.dtype)

    def codegen(context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(context.get_value_type(vector), [0.0] * LANES)

    return vector(base), codegen


def _lane_numbers(builder: Any, number: Any, comparison: str) -> Any:
    """Return a mask: for each lane, whether `lane comparison number` holds; `number` is an int64."""
    lanes = ir.Constant(ir.VectorType(ir.IntType(64), LANES), list(range(LANES)))
    return builder.icmp_signed(comparison, lanes, _splat(builder, number))


@intrinsic
def keep(_typing: Any, vector: Any, count: Any, otherwise: Any) -> Any:
    """Return the vector with its lanes from `count` on replaced by the scalar `otherwise`."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(_lane_numbers(builder, args[1], "<"), args[0], _splat(builder, args[2]))

    return vector(vector, types.intp, vector.scalar), codegen


@intrinsic
def one_hot(_typing: Any, base: Any, lane: Any) -> Any:
    """Return a vector of zeros with a one in `lane`, if that lane exists, of the type that `base` points to."""
    vector = Vector(base.dtype)

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        llvm = context.get_value_type(vector)
        ones, none = ir.Constant(llvm, [1.0] * LANES), ir.Constant(llvm, [0.0] * LANES)
        return builder.select(_lane_numbers(builder, args[1], "=="), ones, none)

    return vector(base, types.intp), codegen


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes))


@intrinsic(prefer_literal=True)
def fold(_typing: Any, a: Any, b: Any, width: Any) -> Any:
    """Halve the groups of `width` lanes in `a`, then those in `b`, by adding their second half to their first.

    Folds of widths 16, 8, 4, 2 turn 16 vectors into one that holds their sums in order, each sum added as a fixed tree.
    """
    group = width.literal_value
    first = [start + lane for start in range(0, 2 * LANES, group) for lane in range(group // 2)]

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        a, b, _ = args
        return builder.fadd(_shuffle(builder, a, b, first), _shuffle(builder, a, b, [i + group // 2 for i in first]))

    return a(a, b, width), codegen


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _halve(builder: Any, vector: Any, combine: Callable[..., Any]) -> Any:
    for distance in (8, 4, 2, 1):
        vector = combine(
            builder, vector, _shuffle(builder, vector, vector, [(i + distance) % LANES for i in range(LANES)])
        )
    return builder.extract_element(vector, ir.IntType(32)(0))


@intrinsic
def total(_typing: Any, vector: Any) -> Any:
    """Return the sum of the lanes, added as the tree that `fold` uses."""
    return vector.scalar(vector), _of(functools.partial(_halve, combine=lambda builder, a, b: builder.fadd(a, b)))


@intrinsic
def highest(_typing: Any, vector: Any) -> Any:
    """Return the largest lane; if one is NaN, any of the lanes."""
    return vector.scalar(vector), _of(functools.partial(_halve, combine=_larger))


@intrinsic
def larger(_typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of two vectors, lane by lane."""
    return a(a, b), _of(_larger)


@intrinsic
def flush(_typing: Any, vector: Any) -> Any:
    """Return the vector with numbers of a size below 2**-100 (float32) or 2**-900 (float64) set to zero.

    They change no sum that matters. But a saturated network is full of them, and their products are subnormal, which
    take a CPU a hundred times as long as normal ones.
    """
    smallest = 2.0**-900 if vector.scalar == types.float64 else 2.0**-100

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        llvm = context.get_value_type(vector)
        below = builder.fcmp_ordered("<", args[0], ir.Constant(llvm, [smallest] * LANES))
        tiny = builder.and_(below, builder.fcmp_ordered(">", args[0], ir.Constant(llvm, [-smallest] * LANES)))
        return builder.select(tiny, ir.Constant(llvm, [0.0] * LANES), args[0])

    return vector(vector), codegen


@intrinsic
def prefetch(_typing: Any, base: Any, offset: Any) -> Any:
    """Ask for the cache line at `base + offset`; the address need not be valid."""

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        declared = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        )
        address = builder.bitcast(builder.gep(args[0], [args[1]]), byte)
        builder.call(declared, [address, i32(0), i32(2), i32(1)])
        return context.get_dummy_value()

    return types.none(base, types.intp), codegen


@intrinsic
def exp(_typing: Any, vector: Any) -> Any:
    """Return e**x, to about 1 ulp; infinity if that overflows, 0 below the smallest normal numbers, NaN for NaN.

    x = n * ln 2 + r with |r| <= ln 2 / 2, and e**x = 2**n * e**r. The Taylor series of e**r to r**7 (float32) or r**13
    (float64) leaves less than a tenth of an ulp; ln 2 is split in two, so that n * (its upper part) is exact.
    """
    double = vector.scalar == types.float64
    dtype, integer, mantissa = (np.float64, ir.IntType(64), 52) if double else (np.float32, ir.IntType(32), 23)
    degree = 13 if double else 7
    bias = (1 << (integer.width - mantissa - 2)) - 1
    # The upper part has so few digits that its products with n are exact; the lower is ln 2 minus the upper.
    ln2_high = float.fromhex("0x1.62E42FEEp-1" if double else "0x1.63p-1")
    ln2_low = float.fromhex("0x1.A39EF35793C76p-33" if double else "-0x1.BD0105C610CA8p-13")
    # Adding it rounds to an integer, here n + bias - 1, and leaves this in the low bits of the sum.
    rounder = 1.5 * 2.0**mantissa + bias - 1

    def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        llvm, integers = context.get_value_type(vector), ir.VectorType(integer, LANES)

        def constant(value: float) -> Any:
            return ir.Constant(llvm, [float(dtype(value))] * LANES)

        x = args[0]
        shifted = builder.fadd(builder.fmul(x, constant(1 / math.log(2))), constant(rounder))
        n = builder.fsub(shifted, constant(rounder))
        r = builder.fsub(x, builder.fmul(n, constant(ln2_high)))
        r = builder.fsub(r, builder.fmul(n, constant(ln2_low)))
        series = constant(1 / math.factorial(degree))
        for k in reversed(range(degree)):
            series = builder.fadd(builder.fmul(series, r), constant(1 / math.factorial(k)))
        bits = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [mantissa] * LANES))
        # 2**n itself has no float for the largest n, hence 2 * series * 2**(n - 1).
        result = builder.fmul(builder.fadd(series, series), builder.bitcast(bits, llvm))
        largest, smallest = math.log(float(np.finfo(dtype).max)), (2 - bias) * math.log(2)
        result = builder.select(builder.fcmp_ordered(">", x, constant(largest)), constant(math.inf), result)
        return builder.select(builder.fcmp_ordered("<", x, constant(smallest)), constant(0.0), result)

    return vector(vector), codegen
