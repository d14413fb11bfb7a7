// The continuous neural cache (Grave, Joulin & Usunier 2016): words that followed states like the present one are likelier.
//
//     p(w) = (1 - weight) p_model(w) + weight p_cache(w)
//     p_cache(w) ~ sum over i of exp(flatness * h . h_i) [w_i = w]
//
// Hidden states are 8-bit, so that their products are exact.
#ifndef REFRAIN_CACHE_H
#define REFRAIN_CACHE_H

#include "choose.h"

// A dot product in units of 1/127 * 1/127; `a` with zero point 128.
static int32_t dot(const uint8_t *a, const int8_t *b, int64_t size) {
    int32_t sum = 0;
    for (int64_t i = 0; i < size; i++) sum += ((int16_t)a[i] - 128) * (int16_t)b[i];
    return sum;
}

// Write exp(score - largest score) of every entry to `weights`, padded to whole vectors with 0; gives their sum.
static float weigh_entries(const Cache *cache, const uint8_t *hidden, float *weights) {
    float largest = -INFINITY;
    for (int32_t entry = 0; entry < cache->num_entries; entry++) {
        int32_t product = dot(hidden, cache->keys + entry * cache->size, cache->size);
        weights[entry] = cache->flatness * ((float)product / (127.0f * 127.0f));
        largest = fmaxf(largest, weights[entry]);
    }
    int32_t end = (cache->num_entries + 15) / 16 * 16;
    for (int32_t entry = cache->num_entries; entry < end; entry++) weights[entry] = -INFINITY;
    f32x16 total = splat(0);
    for (int32_t entry = 0; entry < end; entry += 16) {
        f32x16 some = exp16(load16(weights + entry) - largest);
        store16(weights + entry, some);
        total += some;
    }
    return sum_of(total);
}

// Change the logits of a row to the logarithms of the blended distribution; tell what the cache alone gives the token
// that is known to follow, if one is.
static void blend(Sequence *sequence, int32_t place, const uint8_t *hidden, float *logits, BlockSums sums,
                  Choosing *choosing) {
    const Cache *cache = &sequence->cache;
    int is_score = sequence->purpose == SCORE;
    if (is_score) sequence->cache_probs[place] = 0;
    if (cache->num_entries == 0) return;
    float *shares = choosing->work, *weights = choosing->weights;
    memset(shares, 0, (size_t)choosing->num_blocks * COLUMNS * sizeof *shares);
    float total = weigh_entries(cache, hidden, weights);
    for (int32_t entry = 0; entry < cache->num_entries; entry++) shares[cache->values[entry]] += weights[entry] / total;
    if (is_score) sequence->cache_probs[place] = shares[sequence->tokens[place + 1]];
    if (cache->weight <= 0) return;
    float log_sum = (float)log_total(sums, choosing->num_blocks), kept = 1 - cache->weight;
    float shift = (float)log_of(kept) - log_sum;
    for (int32_t block = 0; block < choosing->num_blocks; block++) {
        float *from = logits + block * COLUMNS;
        for (int32_t column = 0; column < COLUMNS; column += 16) {
            f32x16 plain = load16(from + column), share = load16(shares + block * COLUMNS + column);
            store16(from + column, plain + shift);
            if (__builtin_reduce_max((i32x16)share) == 0) continue;
            f32x16 blended = exp16(plain - log_sum) * kept + share * cache->weight;
            for (int lane = 0; lane < 16; lane++)
                if (share[lane] > 0) from[column + lane] = (float)log_of(blended[lane]);
        }
        put_sum(sums, block, sum_block(from, inverse_temperature_of(sequence)));
    }
}

#endif
