// The bfloat16 product of training: rows of activations times packed weights, summed in float32.
//
// Weights are packed by blocks of 64 columns: [columns / 64][K / 2][64][2], so that one 64-byte load gives 16 columns
// times 2 elements. A block stays in the second-level cache while all rows pass over it.
#ifndef REFRAIN_BF16_PRODUCT_H
#define REFRAIN_BF16_PRODUCT_H

#include "../vector.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#define COLUMNS 64
#define PARTS 4        // vectors of 16 columns in a block
#define MAX_TILE 6     // rows of a tile: 24 sums stay in registers

typedef uint16_t bf16;
typedef uint16_t u16x16 __attribute__((vector_size(32), aligned(2)));
typedef uint32_t u32x16 __attribute__((vector_size(64), aligned(4)));

INLINE f32x16 from_bf16(const bf16 *from) {
    return (f32x16)(__builtin_convertvector(*(const u16x16 *)from, u32x16) << 16);
}

INLINE void to_bf16(bf16 *to, f32x16 values) {
#if defined(__AVX512BF16__)
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)values));
#else
    u32x16 bits = (u32x16)values;
    *(u16x16 *)to = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, u16x16);
#endif
}

// sums += x * w, where x holds two activations and w sixteen columns of two weights.
INLINE f32x16 dot2(f32x16 sums, uint32_t x, const bf16 *w) {
#if defined(__AVX512BF16__)
    return (f32x16)_mm512_dpbf16_ps((__m512)sums, (__m512bh)_mm512_set1_epi32((int)x), (__m512bh)_mm512_loadu_si512(w));
#else
    u32x16 pairs = *(const u32x16 *)w;
    union { uint32_t bits; float value; } first = {x << 16}, second = {x & 0xffff0000u};
    sums = fma16(splat(first.value), (f32x16)(pairs << 16), sums);
    return fma16(splat(second.value), (f32x16)(pairs & 0xffff0000u), sums);
#endif
}

// One tile: up to MAX_TILE rows of K activations times a block of 64 columns.
INLINE void tile_product(int num_rows, float *to, int64_t to_stride, const bf16 *x, int64_t x_stride, int64_t num_k,
                         const bf16 *w) {
    f32x16 sums[MAX_TILE][PARTS];
    for (int row = 0; row < num_rows; row++)
        for (int part = 0; part < PARTS; part++) sums[row][part] = splat(0);
    for (int64_t k = 0; k < num_k; k += 2, w += COLUMNS * 2) {
        for (int row = 0; row < num_rows; row++) {
            uint32_t two;
            memcpy(&two, x + row * x_stride + k, 4);
            for (int part = 0; part < PARTS; part++) sums[row][part] = dot2(sums[row][part], two, w + 32 * part);
        }
    }
    for (int row = 0; row < num_rows; row++)
        for (int part = 0; part < PARTS; part++) store16(to + row * to_stride + 16 * part, sums[row][part]);
}

// The sums of a tile live in registers while the loop runs, so each number of rows has a function of its own.
#define TILE_PRODUCT(N)                                                                                            \
    static __attribute__((noinline)) void tile_product_##N(float *to, int64_t to_stride, const bf16 *x,            \
                                                           int64_t x_stride, int64_t num_k, const bf16 *w) {       \
        tile_product(N, to, to_stride, x, x_stride, num_k, w);                                                     \
    }
TILE_PRODUCT(1) TILE_PRODUCT(2) TILE_PRODUCT(3) TILE_PRODUCT(4) TILE_PRODUCT(5) TILE_PRODUCT(6)

INLINE int64_t padded(int64_t columns) { return (columns + COLUMNS - 1) / COLUMNS * COLUMNS; }

// to[row, column] = sum over k of x[row, k] * w[k, column]; `to` has padded(columns) columns.
static void product(float *to, const bf16 *x, int64_t x_stride, int64_t num_rows, int64_t num_k, const bf16 *packed,
                    int64_t columns) {
    int64_t stride = padded(columns);
    for (int64_t column = 0; column < stride; column += COLUMNS, packed += num_k * COLUMNS) {
        for (int64_t row = 0; row < num_rows; row += MAX_TILE) {
            float *out = to + row * stride + column;
            const bf16 *in = x + row * x_stride;
            switch (num_rows - row) {
                case 1: tile_product_1(out, stride, in, x_stride, num_k, packed); break;
                case 2: tile_product_2(out, stride, in, x_stride, num_k, packed); break;
                case 3: tile_product_3(out, stride, in, x_stride, num_k, packed); break;
                case 4: tile_product_4(out, stride, in, x_stride, num_k, packed); break;
                case 5: tile_product_5(out, stride, in, x_stride, num_k, packed); break;
                default: tile_product_6(out, stride, in, x_stride, num_k, packed); break;
            }
        }
    }
}

// Pack a matrix [K, columns] whose element (k, column) is at w[k * k_stride + column * column_stride]; K is even.
static void pack(bf16 *packed, const bf16 *w, int64_t num_k, int64_t columns, int64_t k_stride, int64_t column_stride) {
    for (int64_t first = 0; first < columns; first += COLUMNS) {
        int64_t width = columns - first < COLUMNS ? columns - first : COLUMNS;
        for (int64_t k = 0; k < num_k; k += 2, packed += COLUMNS * 2) {
            const bf16 *from = w + k * k_stride + first * column_stride;
            for (int64_t column = 0; column < width; column++) {
                packed[2 * column] = from[column * column_stride];
                packed[2 * column + 1] = from[column * column_stride + k_stride];
            }
            memset(packed + 2 * width, 0, (size_t)(COLUMNS - width) * 2 * sizeof(bf16));
        }
    }
}

#endif
