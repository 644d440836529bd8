"""Elementary functions in single precision that the compiler can vectorize: exp, tanh, the normal law.

Polynomials of the Cephes library (Moshier) unless another source is named; NaN in, NaN out. Inlined into
the other kernels: a changed last digit changes the numbers of every fused study.
"""

# numba turns literals into double precision, so every constant has its type.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from tuner.compiled import llvm_intrinsic, njit_inline

f32, i32, u32, u64 = np.float32, np.int32, np.uint32, np.uint64

ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)

FAINT = f32(1e-37)
"""Smaller numbers are best made zero: a little further down they make processors slow."""


@llvm_intrinsic
def _float_of(_: Any, bits: Any) -> Any:  # noqa: ARG001
    """The single whose bits these are."""

    def codegen(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@llvm_intrinsic
def _bits_of(_: Any, number: Any) -> Any:  # noqa: ARG001
    """The bits of a single."""

    def codegen(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


_EXP_LOW, _EXP_HIGH = f32(-87.3), f32(88.7)
_LOG2E, _LN2_HIGH, _LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
_ROUND = f32(1.5 * 2**23)
"""Adding it rounds a small number to a whole one, which then stands in its lowest bits."""
_ROUND_BITS = i32(0x4B400000)
_BIAS, _MANTISSA = i32(127), i32(23)
_E0, _E1, _E2 = f32(1.9875691500e-4), f32(1.3981999507e-3), f32(8.3334519073e-3)
_E3, _E4, _E5 = f32(4.1665795894e-2), f32(1.6666665459e-1), f32(5.0000001201e-1)


@njit_inline
def exp(x: Any) -> Any:
    """The exponential; 1e-38 below -87 and inf above 88.4."""
    x = _EXP_LOW if x < _EXP_LOW else x
    x = _EXP_HIGH if x > _EXP_HIGH else x
    shifted = x * _LOG2E + _ROUND
    whole = shifted - _ROUND
    r = x - whole * _LN2_HIGH - whole * _LN2_LOW
    p = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    power = i32(i32(i32(_bits_of(shifted) - _ROUND_BITS) + _BIAS) << _MANTISSA)
    return (p * r * r + r + ONE) * _float_of(power)


_T0, _T1, _T2 = f32(-5.70498872745e-3), f32(2.06390887954e-2), f32(-5.37397155531e-2)
_T3, _T4, _T_SMALL = f32(1.33314422036e-1), f32(-3.33332819422e-1), f32(0.625)


@njit_inline
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    size = -x if x < ZERO else x
    z = x * x
    small = ((((_T0 * z + _T1) * z + _T2) * z + _T3) * z + _T4) * z * x + x
    large = ONE - TWO / (exp(TWO * size) + ONE)
    large = -large if x < ZERO else large
    return large if size > _T_SMALL else small


@njit_inline
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return ONE / (ONE + exp(-x))


_P, _ROOT_HALF, _DENSITY = f32(0.3275911), f32(0.7071067811865476), f32(0.3989422804014327)
_A1, _A2, _A3 = f32(0.254829592), f32(-0.284496736), f32(1.421413741)
_A4, _A5 = f32(-1.453152027), f32(1.061405429)


@njit_inline
def normal_cdf_pdf(x: Any) -> tuple[Any, Any]:
    """Distribution and density of the standard normal law; absolute error 1e-7.

    Abramowitz and Stegun 1964, eq. 7.1.26.
    """
    size = -x if x < ZERO else x
    t = ONE / (ONE + _P * _ROOT_HALF * size)
    bell = exp(-HALF * x * x)
    tail = HALF * bell * t * ((((_A5 * t + _A4) * t + _A3) * t + _A2) * t + _A1)
    return (tail if x < ZERO else ONE - tail), _DENSITY * bell


_L0, _L1, _L2 = f32(7.0376836292e-2), f32(-1.1514610310e-1), f32(1.1676998740e-1)
_L3, _L4, _L5 = f32(-1.2420140846e-1), f32(1.4249322787e-1), f32(-1.6668057665e-1)
_L6, _L7, _L8 = f32(2.0000714765e-1), f32(-2.4999993993e-1), f32(3.3333331174e-1)
_ROOT_HALF_BITS, _LOW_BITS, _HALF_EXPONENT = i32(0x3F3504F3), i32(0x007FFFFF), i32(126)
_LN2 = f32(0.6931471805599453)


@njit_inline
def log(x: Any) -> Any:
    """The natural logarithm of a positive normal number."""
    shifted = i32(_bits_of(x) - _ROOT_HALF_BITS)
    power = i32(shifted >> _MANTISSA)
    m = _float_of(i32(i32(shifted & _LOW_BITS) + _ROOT_HALF_BITS)) - ONE  # in [root(1/2), root(2)) - 1
    p = ((((((((_L0 * m + _L1) * m + _L2) * m + _L3) * m + _L4) * m + _L5) * m + _L6) * m + _L7) * m) + _L8
    z = m * m
    return m + (m * z * p - HALF * z) + f32(power) * _LN2


_PI = f32(np.pi)
_S1, _S2, _S3 = f32(-1 / 6), f32(1 / 120), f32(-1 / 5040)
_S4, _S5 = f32(1 / 362880), f32(-1 / 39916800)
_C1, _C2, _C3, _C4, _C5 = f32(-1 / 2), f32(1 / 24), f32(-1 / 720), f32(1 / 40320), f32(-1 / 3628800)


@njit_inline
def cos_sin(share: Any) -> tuple[Any, Any]:
    """Cosine and sine of a share of the full circle, in [-1/2, 1/2); Taylor series at half the angle."""
    x = _PI * share
    z = x * x
    sine = x * (ONE + z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * _S5)))))
    cosine = ONE + z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * _C5))))
    return cosine * cosine - sine * sine, TWO * sine * cosine


_M1, _M2 = u32(0x7FEB352D), u32(0x846CA68B)
_U15, _U16, _U8 = u32(15), u32(16), u32(8)
_UNIT = f32(2**-24)


@njit_inline
def mix_bits(x: Any) -> Any:
    """A bijection of 32 bits without visible order (Wellons 2018, "lowbias32")."""
    x = u32(x ^ u32(x >> _U16))
    x = u32(x * _M1)
    x = u32(x ^ u32(x >> _U15))
    x = u32(x * _M2)
    return u32(x ^ u32(x >> _U16))


_GOLDEN, _SEED, _ONE64 = u64(0x9E3779B97F4A7C15), u64(0xD6E8FEB86659FD93), u64(1)
_K1, _K2 = u64(0xBF58476D1CE4E5B9), u64(0x94D049BB133111EB)
_U30, _U27, _U32 = u64(30), u64(27), u64(32)


@njit_inline
def random_bits(seed: Any, index: Any) -> Any:
    """32 random bits at a place of a stream: splitmix64 (Steele et al. 2014), upper half.

    Args:
        seed: of the stream, 32 bits.
        index: from 0.
    """
    x = u64(u64(u64(u64(index) + _ONE64) * _GOLDEN) + u64(u64(seed) * _SEED))
    x = u64(u64(x ^ u64(x >> _U30)) * _K1)
    x = u64(u64(x ^ u64(x >> _U27)) * _K2)
    return u32(x >> _U32)


@njit_inline
def normal_pair(one: Any, two: Any) -> tuple[Any, Any]:
    """Two independent standard normal numbers from two words of 32 bits (Box and Muller 1958)."""
    radius = f32(np.sqrt(-TWO * log((f32(i32(one >> _U8)) + HALF) * _UNIT)))
    cosine, sine = cos_sin(f32(i32(two >> _U8)) * _UNIT - HALF)
    return radius * cosine, radius * sine
