// The first layer's table: what each token's embedding adds to every gate, with the bias, in half precision.
//
// Every sum starts from the bias and takes the elements of the embedding in their order, with a multiplication and an
// addition that are rounded each: the same bytes on every processor, in every tile and on any number of threads. Fused
// multiply-adds would be a little faster where there are any, and calls of the C library where there are none.
#ifndef REFRAIN_TABLE_H
#define REFRAIN_TABLE_H

#include "product.h"

// Vectors of 16 columns in a tile: 24 sums stay in 32 registers that are as wide, 6 in 16 registers that are narrower.
#if defined(__AVX512F__)
#define TILE_PARTS PARTS
#else
#define TILE_PARTS 1
#endif

INLINE void store_half(_Float16 *to, f32x16 values) { *(f16x16 *)to = __builtin_convertvector(values, f16x16); }

// A tile of the table: 16 * TILE_PARTS columns for up to MAX_TILE tokens, with embeddings of `size` elements.
INLINE void tile_of_table(int num_tokens, _Float16 *table, int64_t width, const float *embedding, int64_t size,
                          const float *weight, const float *bias) {
    f32x16 sums[MAX_TILE][TILE_PARTS];
    for (int token = 0; token < num_tokens; token++)
        for (int part = 0; part < TILE_PARTS; part++) sums[token][part] = load16(bias + 16 * part);
    for (int64_t element = 0; element < size; element++, weight += COLUMNS)
        for (int token = 0; token < num_tokens; token++) {
            f32x16 x = splat(embedding[token * size + element]);
            for (int part = 0; part < TILE_PARTS; part++) sums[token][part] += x * load16(weight + 16 * part);
        }
    for (int token = 0; token < num_tokens; token++)
        for (int part = 0; part < TILE_PARTS; part++)
            store_half(table + token * width + 16 * part, sums[token][part]);
}

// One block of 64 columns for all tokens: its weights stay in the second-level cache meanwhile.
static void block_of_table(_Float16 *table, int64_t width, const float *embedding, int64_t num_tokens, int64_t size,
                           const float *weight, const float *bias) {
    int64_t num_whole = num_tokens / MAX_TILE * MAX_TILE;
    for (int column = 0; column < COLUMNS; column += 16 * TILE_PARTS) {
        for (int64_t token = 0; token < num_whole; token += MAX_TILE)
            tile_of_table(MAX_TILE, table + token * width + column, width, embedding + token * size, size,
                          weight + column, bias + column);
        for (int64_t token = num_whole; token < num_tokens; token++)
            tile_of_table(1, table + token * width + column, width, embedding + token * size, size, weight + column,
                          bias + column);
    }
}

#endif
