// The int8 product: unsigned activations (zero point 128) times signed weights, summed exactly in int32.
//
// Weights are packed by blocks of 64 columns: [columns / 64][K / 4][64][4], so that one 64-byte load gives 16 columns
// times 4 elements. Sums of integers are exact: a row's result does not depend on the rows beside it.
#ifndef REFRAIN_PRODUCT_H
#define REFRAIN_PRODUCT_H

#include "../vector.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define COLUMNS 64
#define PARTS 4        // vectors of 16 columns in a block
#define MAX_TILE 6     // rows of a tile: 24 sums stay in registers

typedef i32x16 Sums[MAX_TILE][PARTS];

// sums += x * w, where x holds four activations and w sixteen columns of four weights.
INLINE i32x16 dot4(i32x16 sums, int32_t x, const int8_t *w) {
#if defined(__AVX512VNNI__)
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sums, _mm512_set1_epi32(x), _mm512_loadu_si512(w));
#elif defined(__AVX2__)
    const __m256i bytes = _mm256_set1_epi32(x);
    const __m256i even_x = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
    const __m256i odd_x = _mm256_srli_epi16(bytes, 8);
    union { i32x16 whole; __m256i half[2]; } result = {sums};
    for (int i = 0; i < 2; i++) {
        __m256i packed = _mm256_loadu_si256((const __m256i *)(w + 32 * i));
        __m256i even_w = _mm256_srai_epi16(_mm256_slli_epi16(packed, 8), 8);
        __m256i odd_w = _mm256_srai_epi16(packed, 8);
        __m256i both = _mm256_add_epi32(_mm256_madd_epi16(even_x, even_w), _mm256_madd_epi16(odd_x, odd_w));
        result.half[i] = _mm256_add_epi32(result.half[i], both);
    }
    return result.whole;
#else
    const uint8_t *bytes = (const uint8_t *)&x;
    for (int column = 0; column < 16; column++)
        for (int k = 0; k < 4; k++) sums[column] += bytes[k] * w[4 * column + k];
    return sums;
#endif
}

// The sums of a tile live in registers while the loop runs, so each number of rows has a function of its own.
INLINE void add_rows(int num_rows, Sums sums, const uint8_t *const *x, int64_t num_k, const int8_t *w) {
    i32x16 kept[MAX_TILE][PARTS];
    const uint8_t *from[MAX_TILE];
    for (int row = 0; row < num_rows; row++) {
        from[row] = x[row];
        for (int part = 0; part < PARTS; part++) kept[row][part] = sums[row][part];
    }
    for (int64_t k = 0; k < num_k; k += 4, w += COLUMNS * 4) {
        for (int row = 0; row < num_rows; row++) {
            int32_t four;
            memcpy(&four, from[row] + k, 4);
            for (int part = 0; part < PARTS; part++)
                kept[row][part] = dot4(kept[row][part], four, w + 64 * part);
        }
    }
    for (int row = 0; row < num_rows; row++)
        for (int part = 0; part < PARTS; part++) sums[row][part] = kept[row][part];
}

#define ADD_ROWS(N)                                                                                              \
    static __attribute__((noinline)) void add_##N(Sums sums, const uint8_t *const *x, int64_t num_k, const int8_t *w) { \
        add_rows(N, sums, x, num_k, w);                                                                          \
    }
ADD_ROWS(1) ADD_ROWS(2) ADD_ROWS(3) ADD_ROWS(4) ADD_ROWS(5) ADD_ROWS(6)

// Add the product of up to MAX_TILE rows of `num_k` activations with one block of weights.
INLINE void add_product(int num_rows, Sums sums, const uint8_t *const *x, int64_t num_k, const int8_t *w) {
    switch (num_rows) {
        case 1: add_1(sums, x, num_k, w); break;
        case 2: add_2(sums, x, num_k, w); break;
        case 3: add_3(sums, x, num_k, w); break;
        case 4: add_4(sums, x, num_k, w); break;
        case 5: add_5(sums, x, num_k, w); break;
        default: add_6(sums, x, num_k, w); break;
    }
}

INLINE void start_sums(int num_rows, Sums sums, const int32_t *offsets) {
    for (int row = 0; row < num_rows; row++)
        for (int part = 0; part < PARTS; part++) sums[row][part] = *(const i32x16 *)(offsets + 16 * part);
}

INLINE f32x16 scaled(i32x16 sums, const float *scales, f32x16 added) {
    return fma16(__builtin_convertvector(sums, f32x16), load16(scales), added);
}

#endif
