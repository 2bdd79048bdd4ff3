"""Weighted sums of rows in vector registers, in the order that keeps SciPy's bits.

A voxel of a symmetric filter is the weighted centre plus the weighted pairs around it, added from
the outside in. Written as loops over rows, each pair loads and stores the sum again; here the sums
of a few columns stay in registers until all pairs are added. That is said in LLVM's own terms, with
vectors of eight doubles, which every machine has in some form (as two or four registers where one
is too narrow). Nothing is contracted or reordered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.cgutils import ir
from numba.extending import intrinsic

from chunkseg.kernels.compiled import compiled

_LANES = 8
_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, _LANES)
_INT = ir.IntType(64)
_ALONE, _BESIDE = 4, 2
"""Vectors of one row whose sums are in registers: for a row alone, for each of two rows."""


@compiled()
def weigh(out: Any, source: Any, taps: Any, weights: Any) -> None:
    """Weigh a row and its symmetric neighbours.

    Parameters
    ----------
    out
        Row of doubles to be written; shares no memory with ``source``.
    source
        Doubles that hold all rows.
    taps
        Where in ``source`` the rows begin, in order: ``2 * r + 1`` of them for radius ``r``.
    weights
        By distance from the centre, ``r + 1`` of them.
    """
    if out.size >= _ALONE * _LANES:
        _weigh_vectors(out, source, taps, weights)
    else:
        _weigh_short(out, source, taps, weights)


@compiled()
def weigh_two(out: Any, beside: Any, source: Any, taps: Any, weights: Any) -> None:
    """Weigh two rows that follow each other and share all neighbours but two.

    ``taps`` has ``2 * r + 2`` entries: those of ``out`` without the last, those of ``beside``
    without the first.
    """
    if out.size >= _BESIDE * _LANES:
        _weigh_two_vectors(out, beside, source, taps, weights)
    else:
        _weigh_short(out, source, taps[:-1], weights)
        _weigh_short(beside, source, taps[1:], weights)


@compiled()
def _weigh_short(out: Any, source: Any, taps: Any, weights: Any) -> None:
    r = weights.size - 1
    for i in range(out.size):
        total = source[taps[r] + i] * weights[0]
        for d in range(r, 0, -1):
            total += (source[taps[r - d] + i] + source[taps[r + d] + i]) * weights[d]
        out[i] = total


class _Rows:
    """The arguments of a kernel while its code is written: pointers, and where they are read."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.builder = builder
        kinds = zip(signature.args, args, strict=True)
        arrays = [context.make_array(kind)(context, builder, value) for kind, value in kinds]
        self.data = [array.data for array in arrays]
        sizes = [cgutils.unpack_tuple(builder, array.shape, 1)[0] for array in arrays]
        self.columns = sizes[0]
        self.radius = builder.sub(sizes[-1], _INT(1))

    def number(self, array: int, index: Any) -> Any:
        return self.builder.load(self.builder.gep(self.data[array], [index]))

    def weight(self, distance: Any) -> Any:
        """Weight at a distance, in every lane."""
        b = self.builder
        single = b.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), self.number(-1, distance), _INT(0)
        )
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
        return b.shuffle_vector(single, single, lanes)

    def _pointer(self, array: int, index: Any) -> Any:
        single = self.builder.gep(self.data[array], [index])
        return self.builder.bitcast(single, _VECTOR.as_pointer())

    def vectors(self, tap: Any, column: Any, count: int) -> list[Any]:
        """Neighbouring vectors of the row that a tap leads to."""
        b = self.builder
        start = b.add(self.number(-2, tap), column)
        where = [b.add(start, _INT(k * _LANES)) for k in range(count)]
        return [b.load(self._pointer(-3, index), align=8) for index in where]

    def store(self, row: int, column: Any, sums: list[Any]) -> None:
        for k, total in enumerate(sums):
            index = self.builder.add(column, _INT(k * _LANES))
            self.builder.store(total, self._pointer(row, index), align=8)

    @contextmanager
    def each_column(self, step: int) -> Iterator[Any]:
        """Go over the columns, ``step`` at a time; the last ones are done twice if need be."""
        b = self.builder
        last = b.sub(self.columns, _INT(step))
        with cgutils.for_range_slice(b, _INT(0), self.columns, _INT(step), _INT) as (i, _):
            yield b.select(b.icmp_signed("<", i, last), i, last)

    @contextmanager
    def each_pair(self) -> Iterator[Any]:
        """Go over the distances from the radius down to 1."""
        with cgutils.for_range(self.builder, self.radius) as loop:
            yield self.builder.sub(self.radius, loop.index)


def _started(rows: _Rows, values: list[Any]) -> list[Any]:
    """Variables that begin as the given values."""
    variables = [cgutils.alloca_once(rows.builder, _VECTOR) for _ in values]
    for variable, value in zip(variables, values, strict=True):
        rows.builder.store(value, variable)
    return variables


def _weighted(rows: _Rows, values: list[Any], weight: Any) -> list[Any]:
    return [rows.builder.fmul(value, weight) for value in values]


def _add_pair(rows: _Rows, sums: list[Any], low: list[Any], high: list[Any], weight: Any) -> None:
    b = rows.builder
    for total, one, other in zip(sums, low, high, strict=True):
        pair = b.fmul(b.fadd(one, other), weight)
        b.store(b.fadd(b.load(total), pair), total)


def _write_one(rows: _Rows) -> None:
    b, r = rows.builder, rows.radius
    with rows.each_column(_ALONE * _LANES) as column:
        centre = rows.vectors(r, column, _ALONE)
        sums = _started(rows, _weighted(rows, centre, rows.weight(_INT(0))))
        with rows.each_pair() as d:
            low = rows.vectors(b.sub(r, d), column, _ALONE)
            high = rows.vectors(b.add(r, d), column, _ALONE)
            _add_pair(rows, sums, low, high, rows.weight(d))
        rows.store(0, column, [b.load(total) for total in sums])


def _write_two(rows: _Rows) -> None:
    """As :func:`_write_one`; the second row's outer neighbours are the first row's next ones."""
    b, r = rows.builder, rows.radius
    with rows.each_column(_BESIDE * _LANES) as column:
        own = rows.weight(_INT(0))
        sums = [
            _started(rows, _weighted(rows, rows.vectors(tap, column, _BESIDE), own))
            for tap in (r, b.add(r, _INT(1)))
        ]
        low = _started(rows, rows.vectors(_INT(0), column, _BESIDE))
        end = b.add(b.add(r, r), _INT(1))
        high = _started(rows, rows.vectors(end, column, _BESIDE))
        with rows.each_pair() as d:
            weight = rows.weight(d)
            inner_low = rows.vectors(b.add(b.sub(r, d), _INT(1)), column, _BESIDE)
            inner_high = rows.vectors(b.add(r, d), column, _BESIDE)
            _add_pair(rows, sums[0], [b.load(v) for v in low], inner_high, weight)
            _add_pair(rows, sums[1], inner_low, [b.load(v) for v in high], weight)
            for variable, value in zip(low + high, inner_low + inner_high, strict=True):
                b.store(value, variable)
        for row in (0, 1):
            rows.store(row, column, [b.load(total) for total in sums[row]])


def _generated(write: Callable[[_Rows], None], signature: Any) -> tuple[Any, Callable[..., Any]]:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        write(_Rows(context, builder, signature, args))
        return context.get_dummy_value()

    return signature, code


@intrinsic
def _weigh_vectors(typing: Any, out: Any, source: Any, taps: Any, weights: Any) -> Any:
    return _generated(_write_one, types.void(out, source, taps, weights))


@intrinsic
def _weigh_two_vectors(
    typing: Any, out: Any, beside: Any, source: Any, taps: Any, weights: Any
) -> Any:
    return _generated(_write_two, types.void(out, beside, source, taps, weights))
