// The continuous neural cache (Grave, Joulin & Usunier 2016): words that followed states like the present one are likelier.
//
//     p(w) = (1 - weight) p_model(w) + weight p_cache(w)
//     p_cache(w) ~ sum over i of exp(inverse_temperature * h . h_i) [w_i = w]
//
// Hidden states are 8-bit, so that their products are exact.
#ifndef REFRAIN_CACHE_H
#define REFRAIN_CACHE_H

#include "sample.h"

// A dot product in units of 1/127 * 1/127; both with zero point 128.
static int32_t dot(const uint8_t *a, const uint8_t *b, int64_t size) {
    int32_t sum = 0;
    for (int64_t i = 0; i < size; i++) sum += ((int16_t)a[i] - 128) * ((int16_t)b[i] - 128);
    return sum;
}

// What a state is compared with, from the oldest to the newest: entries of the cache, and what the sequence itself has
// scored before its token at `index`; no more than the window.
typedef struct {
    const Cache *cache;
    const uint8_t *scored_keys;
    const int32_t *scored_values;
    int32_t num_skipped, num_old, num_all;
} Past;

static Past past_of(const Sequence *sequence, int32_t index) {
    const Cache *cache = &sequence->cache;
    int32_t num_scored = sequence->purpose == SCORE ? index : 0;
    int32_t num_all = cache->num_entries + num_scored, num_skipped = num_all > cache->window ? num_all - cache->window : 0;
    return (Past){cache, sequence->hidden, sequence->tokens + 1, num_skipped, cache->num_entries, num_all};
}

INLINE const uint8_t *key_of(const Past *past, int32_t entry) {
    const Cache *cache = past->cache;
    if (entry >= past->num_old) return past->scored_keys + (entry - past->num_old) * cache->size;
    return cache->keys + (cache->first + entry) % cache->window * cache->size;
}

INLINE int32_t value_of(const Past *past, int32_t entry) {
    const Cache *cache = past->cache;
    if (entry >= past->num_old) return past->scored_values[entry - past->num_old];
    return cache->values[(cache->first + entry) % cache->window];
}

// Write exp(score - largest score) of every entry to `weights`, padded to whole vectors with 0; returns their sum.
static float weigh_entries(const Past *past, const uint8_t *hidden, float *weights) {
    const Cache *cache = past->cache;
    float largest = -INFINITY;
    int32_t num_entries = past->num_all - past->num_skipped, end = (num_entries + 15) / 16 * 16;
    for (int32_t entry = 0; entry < num_entries; entry++) {
        int32_t product = dot(hidden, key_of(past, past->num_skipped + entry), cache->size);
        weights[entry] = cache->inverse_temperature * ((float)product / (127.0f * 127.0f));
        largest = fmaxf(largest, weights[entry]);
    }
    for (int32_t entry = num_entries; entry < end; entry++) weights[entry] = -INFINITY;
    f32x16 total = splat(0);
    for (int32_t entry = 0; entry < end; entry += 16) {
        f32x16 some = exp16(load16(weights + entry) - largest);
        store16(weights + entry, some);
        total += some;
    }
    return sum_of(total);
}

// Report the probability under the cache alone of the target of a score at `index`.
static void recall(Sequence *sequence, int32_t index, const uint8_t *hidden, Sampler *sampler) {
    Past past = past_of(sequence, index);
    float *weights = sampler->weights, found = 0;
    sequence->cache_probs[index] = 0;
    if (past.num_all == 0) return;
    float total = weigh_entries(&past, hidden, weights);
    for (int32_t entry = 0; entry < past.num_all - past.num_skipped; entry++)
        if (value_of(&past, past.num_skipped + entry) == sequence->tokens[index + 1]) found += weights[entry];
    sequence->cache_probs[index] = found / total;
}

// Change the logits of a row to the logarithms of the blended distribution.
static void blend(const Sequence *sequence, const uint8_t *hidden, float *logits, BlockSums sums, Sampler *sampler) {
    const Cache *cache = &sequence->cache;
    if (cache->num_entries == 0 || cache->weight <= 0) return;
    Past past = past_of(sequence, 0);
    float *shares = sampler->work, *weights = sampler->weights;
    memset(shares, 0, (size_t)sampler->num_blocks * COLUMNS * sizeof *shares);
    float total = weigh_entries(&past, hidden, weights);
    for (int32_t entry = 0; entry < cache->num_entries; entry++) shares[value_of(&past, entry)] += weights[entry] / total;
    float log_sum = (float)log_total(sums, sampler->num_blocks), kept = 1 - cache->weight;
    float shift = (float)log_of(kept) - log_sum;
    for (int32_t block = 0; block < sampler->num_blocks; block++) {
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
