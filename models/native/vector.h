// Sixteen numbers at a time, with the same result on every processor: fused multiply-adds only where they are written,
// and a fixed order of sums.
#ifndef REFRAIN_VECTOR_H
#define REFRAIN_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef float f32x16 __attribute__((vector_size(64), aligned(4)));
typedef int32_t i32x16 __attribute__((vector_size(64), aligned(4)));
typedef _Float16 f16x16 __attribute__((vector_size(32), aligned(2)));

#define INLINE static inline __attribute__((always_inline))

INLINE f32x16 splat(float value) { return value - (f32x16){0}; }
INLINE f32x16 load16(const float *from) { return *(const f32x16 *)from; }
INLINE void store16(float *to, f32x16 values) { *(f32x16 *)to = values; }
INLINE f32x16 from_half(const _Float16 *from) {
    return __builtin_convertvector(*(const f16x16 *)from, f32x16);
}
INLINE f32x16 select16(i32x16 mask, f32x16 a, f32x16 b) {
    return (f32x16)(((i32x16)a & mask) | ((i32x16)b & ~mask));
}
INLINE f32x16 min16(f32x16 a, f32x16 b) { return select16(a < b, a, b); }
INLINE f32x16 max16(f32x16 a, f32x16 b) { return select16(a > b, a, b); }
INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }

INLINE float sum_of(f32x16 v) {
    f32x16 a = v + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    f32x16 b = a + __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    f32x16 c = b + __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return c[0] + c[1];
}

INLINE float max_of(f32x16 v) {
    f32x16 a = max16(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    f32x16 b = max16(a, __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    f32x16 c = max16(b, __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    return c[0] > c[1] ? c[0] : c[1];
}

// exp(x) to a relative error of about 1e-7, for -87 <= x <= 88.
INLINE f32x16 exp_inside16(f32x16 x) {
    const f32x16 shift = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    f32x16 shifted = fma16(x, splat(1.44269504f), shift);
    i32x16 exponent = (i32x16)shifted - (i32x16)shift;
    f32x16 whole = shifted - shift;
    f32x16 r = fma16(whole, splat(2.12194440e-4f), fma16(whole, splat(-0.693359375f), x));
    f32x16 p = splat(1.9875691500e-4f);
    p = fma16(p, r, splat(1.3981999507e-3f));
    p = fma16(p, r, splat(8.3334519073e-3f));
    p = fma16(p, r, splat(4.1665795894e-2f));
    p = fma16(p, r, splat(1.6666665459e-1f));
    p = fma16(p, r, splat(5.0000001201e-1f));
    p = fma16(p * r, r, r + 1.0f);
    return (f32x16)((i32x16)p + (exponent << 23));
}

// exp(x) for x <= 88; 0 below -87, -infinity too.
INLINE f32x16 exp16(f32x16 x) {
    i32x16 is_normal = x > splat(-87.0f);
    return (f32x16)((i32x16)exp_inside16(max16(x, splat(-87.0f))) & is_normal);
}

// log(x) of a positive finite number, in double, by its own series: the same on every C library.
static double log_of(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (bits >> 52) - 1023;
    bits = (bits & 0x000fffffffffffff) | 0x3ff0000000000000;
    memcpy(&x, &bits, sizeof x);
    if (x > 1.4142135623730951) {
        x *= 0.5;
        exponent += 1;
    }
    double s = (x - 1) / (x + 1), square = s * s, sum = 0;
    for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
    return 2 * s * sum + (double)exponent * 0.6931471805599453;
}

// exp(x) of one number, by the vector's own formula.
INLINE float exp_of(float x) { return exp16(splat(x))[0]; }

#endif
