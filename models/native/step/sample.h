// From a row of logits to what its sequence wants: a sampled token, the log-probability of a given one, or all of them.
#ifndef REFRAIN_SAMPLE_H
#define REFRAIN_SAMPLE_H

#include "network.h"

enum { GENERATE = 0, SCORE = 1, PREDICT = 2, BRANCH = 3 };
enum { RUNNING = 0, STOPPED = 1, FULL = 2, ANSWERED = 3 };

// Hidden states that a text has had, and the token that followed each; see cache.h.
typedef struct {
    const uint8_t *keys;    // [window][size], a ring; 128 stands for 0 and 255 for 1
    const int32_t *values;
    int64_t size;           // of the last layer, padded
    int32_t window, first, num_entries;  // the oldest entry is `first`
    float inverse_temperature, weight;
    int32_t unused;
} Cache;

// One text with a cursor: tokens[0 .. num_read) are in its slot. `position` counts tokens since the text's beginning.
typedef struct {
    uint8_t *slot;
    int32_t *tokens;
    float *logprobs;        // one a token written or scored
    int32_t *ranks;         // one a token scored; may be null
    int32_t *top_ids;       // [.., num_top]
    float *top_logprobs;
    float *log_probs;       // PREDICT: [V], or null for the top alone; among candidates: [num_candidates]
    int32_t *branch_ids;    // BRANCH: [num_branches] the tokens that a text may best go on with
    float *branch_scores;   // their log-probabilities after biases, bans and penalties
    float *branch_logprobs; // and without them
    const int32_t *bias_ids;
    const float *bias_values;
    const uint64_t *allowed;  // one bit a token; null allows all
    const int32_t *candidates;  // the tokens that a prediction or score is restricted to; null for all
    uint8_t *hidden;        // [.., size] the last layer's state: SCORE: before each token; prefill only: after each
    float *cache_probs;     // SCORE with a cache: what the cache alone gives each token; log-probabilities stay plain
    Cache cache;            // without keys: none
    uint64_t seed;
    int64_t position;       // of tokens[0]
    double entropy;         // PREDICT: of the whole distribution, in nats
    int32_t purpose, status, parity;
    int32_t num_tokens, num_given, num_read, num_found;
    int32_t mark;           // the call returns when this many are read; -1 for never
    int32_t max_written, num_bias, num_top, top_k, ignore_eos, num_candidates, num_branches;
    float temperature, top_p, min_p, typical_p;
    float repetition_penalty, frequency_penalty, presence_penalty;
} Sequence;

// What one thread needs to sample: facts of the vocabulary, and scratch memory.
typedef struct {
    int32_t vocab_size, num_blocks, eos_id, unused;
    float *work;        // [num_blocks * 64] a copy of the logits that may be changed
    float *sums;        // [3][padded num_blocks]
    uint64_t *seen;     // [V / 64 + 1] bits, all 0 between rows
    float *nearness;    // [num_blocks * 64] how near a token's surprise is to the entropy: 0 at best
    int32_t *sorted;    // [V]
    float *masses;      // [padded num_blocks]
    float *weights;     // [MAX_ENTRIES]
} Sampler;

INLINE uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

// The number in [0, 1) of a position: SplitMix64 (Steele, Lea & Flood 2014) as a counter keyed by the seed.
static double uniform_at(uint64_t seed, int64_t position) {
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    uint64_t key = mix(seed + golden);
    return (double)(mix(key + (uint64_t)(position + 1) * golden) >> 11) / 9007199254740992.0;
}

#define MIN_TEMPERATURE 1e-4f  // below it the likeliest token is as good as certain, and sums would overflow

// 0 for taking the likeliest token.
INLINE float inverse_temperature_of(const Sequence *sequence) {
    int is_random = sequence->purpose == GENERATE && sequence->temperature >= MIN_TEMPERATURE;
    return is_random ? 1.0f / sequence->temperature : 0.0f;
}

static float largest_of(BlockSums sums, int32_t num_blocks) {
    f32x16 largest = load16(sums.largest);
    for (int32_t block = 16; block < num_blocks; block += 16) largest = max16(largest, load16(sums.largest + block));
    return max_of(largest);
}

// The share of each block: its sum times exp(its largest - the largest of all), at a temperature.
INLINE f32x16 masses_of(BlockSums sums, const float *sums_at, int32_t block, float largest, float inverse_temperature) {
    return load16(sums_at + block) * exp16((load16(sums.largest + block) - largest) * inverse_temperature);
}

// The logarithm of the sum of exp(logit).
static double log_total(BlockSums sums, int32_t num_blocks) {
    float largest = largest_of(sums, num_blocks);
    f32x16 total = splat(0);
    for (int32_t block = 0; block < num_blocks; block += 16) total += masses_of(sums, sums.sum, block, largest, 1);
    return largest + log_of(sum_of(total));
}

// The mean of -log p over the distribution: log_sum minus the mean logit.
static double entropy_of(const float *logits, int32_t num_blocks, float largest, double log_sum) {
    f32x16 total = splat(0), weighted = splat(0);
    for (int32_t column = 0; column < num_blocks * COLUMNS; column += 16) {
        f32x16 below = load16(logits + column) - largest;
        f32x16 weights = exp16(below);
        total += weights;
        weighted += select16(weights > splat(0), weights * below, splat(0));
    }
    double entropy = log_sum - largest - (double)sum_of(weighted) / sum_of(total);
    return entropy > 0 ? entropy : 0;
}

static int32_t likeliest(const float *logits, BlockSums sums, int32_t num_blocks) {
    float largest = largest_of(sums, num_blocks);
    int32_t block = 0;
    while (sums.largest[block] != largest) block++;
    int32_t token = block * COLUMNS;
    while (logits[token] != largest) token++;
    return token;
}

static int32_t rank_of(const float *logits, int32_t num_blocks, float logit) {
    i32x16 larger = {0};
    for (int32_t column = 0; column < num_blocks * COLUMNS; column += 16)
        larger -= load16(logits + column) > splat(logit);
    return __builtin_reduce_add(larger) + 1;
}

// The likeliest `num_top` tokens, likeliest first, equal ones by number.
static void find_top(const float *logits, BlockSums sums, int32_t num_blocks, double log_sum,
                     int32_t num_top, int32_t *ids, float *logprobs) {
    int32_t num_found = 0;
    for (int32_t block = 0; block < num_blocks; block++) {
        if (num_found == num_top && sums.largest[block] <= logits[ids[num_top - 1]]) continue;
        for (int32_t token = block * COLUMNS; token < (block + 1) * COLUMNS; token++) {
            if (num_found == num_top && logits[token] <= logits[ids[num_top - 1]]) continue;
            int32_t index = num_found < num_top ? num_found++ : num_top - 1;
            for (; index > 0 && logits[ids[index - 1]] < logits[token]; index--) ids[index] = ids[index - 1];
            ids[index] = token;
        }
    }
    for (int32_t index = 0; index < num_top; index++) logprobs[index] = (float)(logits[ids[index]] - log_sum);
}

static int is_first_seen(Sampler *sampler, int32_t token) {
    uint64_t bit = 1ull << (token % 64), *word = &sampler->seen[token / 64];
    int is_first = !(*word & bit);
    *word |= bit;
    return is_first;
}

static void clear_seen(Sampler *sampler, const int32_t *tokens, int64_t num_tokens) {
    for (int64_t index = 0; index < num_tokens; index++) sampler->seen[tokens[index] / 64] = 0;
}

// Every token of the text once, without the <eos> that begins it: no text chose that one.
static void penalise_repetition(const Sequence *sequence, Sampler *sampler) {
    float penalty = sequence->repetition_penalty;
    for (int64_t index = sequence->position == 0; index < sequence->num_tokens; index++) {
        int32_t token = sequence->tokens[index];
        if (!is_first_seen(sampler, token)) continue;
        float logit = sampler->work[token];
        sampler->work[token] = logit > 0 ? logit / penalty : logit * penalty;
    }
    clear_seen(sampler, sequence->tokens, sequence->num_tokens);
}

// Every token written so far: by its count, and for its presence.
static void penalise_written(const Sequence *sequence, Sampler *sampler) {
    const int32_t *written = sequence->tokens + sequence->num_given;
    int64_t num_written = sequence->num_tokens - sequence->num_given;
    for (int64_t index = 0; index < num_written; index++) {
        sampler->work[written[index]] -= sequence->frequency_penalty;
        if (is_first_seen(sampler, written[index])) sampler->work[written[index]] -= sequence->presence_penalty;
    }
    clear_seen(sampler, written, num_written);
}

static void adjust(const Sequence *sequence, Sampler *sampler) {
    if (sequence->repetition_penalty != 1) penalise_repetition(sequence, sampler);
    if (sequence->frequency_penalty != 0 || sequence->presence_penalty != 0) penalise_written(sequence, sampler);
    for (int32_t i = 0; i < sequence->num_bias; i++)
        sampler->work[sequence->bias_ids[i]] += sequence->bias_values[i];
    if (sequence->ignore_eos) sampler->work[sampler->eos_id] = -INFINITY;
    if (sequence->allowed)
        for (int32_t token = 0; token < sampler->vocab_size; token++)
            if (!(sequence->allowed[token / 64] >> (token % 64) & 1)) sampler->work[token] = -INFINITY;
}

// Sort tokens by key, largest first, equal ones by number (a heap sort: no memory, no worst case).
static int comes_later(const float *keys, int32_t a, int32_t b) {
    return keys[a] < keys[b] || (keys[a] == keys[b] && a > b);
}

static void sift_down(const float *keys, int32_t *tokens, int32_t root, int32_t num_tokens) {
    for (int32_t child; (child = 2 * root + 1) < num_tokens; root = child) {
        if (child + 1 < num_tokens && comes_later(keys, tokens[child + 1], tokens[child])) child++;
        if (!comes_later(keys, tokens[child], tokens[root])) return;
        int32_t kept = tokens[root];
        tokens[root] = tokens[child];
        tokens[child] = kept;
    }
}

static void sort_by_key(const float *keys, int32_t *tokens, int32_t num_tokens) {
    for (int32_t root = num_tokens / 2 - 1; root >= 0; root--) sift_down(keys, tokens, root, num_tokens);
    for (int32_t last = num_tokens - 1; last > 0; last--) {
        int32_t kept = tokens[0];
        tokens[0] = tokens[last];
        tokens[last] = kept;
        sift_down(keys, tokens, 0, last);
    }
}

// What tokens are ordered by, the largest first: a key each, -infinity for one that is dropped already. `best` is no
// less than any, and `scale` times the distance from it is in nats.
typedef struct {
    const float *keys;
    float best, scale;
} Order;

#define BINS 1024
#define BINS_PER_NAT 32

// A bin grows with the distance from the best key; the last one holds the rest.
INLINE i32x16 bins_of(Order order, int32_t column) {
    f32x16 bins = -(load16(order.keys + column) - order.best) * order.scale * splat(BINS_PER_NAT);
    return __builtin_convertvector(min16(bins, splat(BINS - 1)), i32x16);
}

INLINE i32x16 are_left(Order order, int32_t column) { return load16(order.keys + column) > splat(-INFINITY); }

// Collect the tokens of one bin in `sorted`, largest key first.
static int32_t collect(Sampler *sampler, Order order, int32_t bin) {
    int32_t num_found = 0;
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
        i32x16 are_found = (bins_of(order, column) == bin) & are_left(order, column);
        if (__builtin_reduce_min(are_found) == 0) continue;
        for (int lane = 0; lane < 16; lane++)
            if (are_found[lane]) sampler->sorted[num_found++] = column + lane;
    }
    sort_by_key(order.keys, sampler->sorted, num_found);
    return num_found;
}

static void drop_below(Sampler *sampler, const float *keys, float limit) {
    f32x16 limits = splat(limit);
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
        i32x16 is_kept = load16(keys + column) >= limits;
        store16(sampler->work + column, select16(is_kept, load16(sampler->work + column), splat(-INFINITY)));
    }
}

// Keep the k likeliest and those equal to the k-th.
static void keep_top_k(Sampler *sampler, int32_t top_k, Order order) {
    int32_t counts[BINS] = {0}, bin = 0, before = 0;
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
        i32x16 bins = bins_of(order, column), are_counted = are_left(order, column);
        for (int lane = 0; lane < 16; lane++) counts[bins[lane]] -= are_counted[lane];
    }
    while (bin < BINS && before + counts[bin] < top_k) before += counts[bin++];
    if (bin == BINS) return;  // fewer than k are left
    collect(sampler, order, bin);
    drop_below(sampler, order.keys, order.keys[sampler->sorted[top_k - before - 1]]);
}

// Keep the first tokens of an order whose predecessors hold less than `share` of what is left; one at least.
static void keep_share(Sampler *sampler, float share, float largest, float inverse_temperature, Order order) {
    double masses[BINS] = {0}, total = 0, before = 0;
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
        f32x16 weights = at_temperature(load16(sampler->work + column) - largest, inverse_temperature);
        i32x16 bins = bins_of(order, column);
        for (int lane = 0; lane < 16; lane++) masses[bins[lane]] += weights[lane];
    }
    for (int32_t bin = 0; bin < BINS; bin++) total += masses[bin];
    double limit = share * total;
    int32_t bin = 0;
    while (bin < BINS - 1 && before + masses[bin] < limit) before += masses[bin++];
    int32_t num_found = collect(sampler, order, bin), num_kept = 0;
    for (; num_kept < num_found && (before < limit || before == 0); num_kept++)
        before += exp_of((sampler->work[sampler->sorted[num_kept]] - largest) * inverse_temperature);
    if (num_kept == num_found) {  // whole bins are kept
        for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
            f32x16 logits = load16(sampler->work + column);
            store16(sampler->work + column, select16(bins_of(order, column) > bin, splat(-INFINITY), logits));
        }
        return;
    }
    float first_dropped = order.keys[sampler->sorted[num_kept]];
    for (int32_t i = num_kept; i < num_found; i++) sampler->work[sampler->sorted[i]] = -INFINITY;
    drop_below(sampler, order.keys, first_dropped);
}

// Locally typical sampling (Meister, Pimentel, Wiher & Cotterell 2023, "Locally Typical Sampling", TACL 11): order what
// is left by |-log p - H|, where H is its entropy, the mean of -log p. The logarithm of the sum of weights is part of
// both, so that the difference is that of a logit from the mean logit, and no logarithm is taken.
static Order order_by_nearness(Sampler *sampler, float largest, float inverse_temperature) {
    double total = 0, weighted = 0;
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
        f32x16 nats = (load16(sampler->work + column) - largest) * inverse_temperature, weights = exp16(nats);
        total += sum_of(weights);
        weighted += sum_of(select16(weights > splat(0), weights * nats, splat(0)));
    }
    float mean = (float)(weighted / total);
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16) {
        f32x16 nats = (load16(sampler->work + column) - largest) * inverse_temperature;
        store16(sampler->nearness + column, min16(nats - mean, mean - nats));
    }
    return (Order){sampler->nearness, 0, 1};
}

// Invert the cumulative distribution at u: find the block, then the token; one of probability 0 is never drawn.
// `masses` [padded num_blocks] is written on.
static int32_t draw(const float *logits, BlockSums sums, int32_t num_blocks, float inverse_temperature, double u,
                    float *masses) {
    float largest = largest_of(sums, num_blocks);
    double total = 0, before = 0;
    for (int32_t block = 0; block < num_blocks; block += 16)
        store16(masses + block, masses_of(sums, sums.tempered, block, largest, inverse_temperature));
    for (int32_t block = 0; block < num_blocks; block++) total += masses[block];
    double point = u * total, share = 0;
    int32_t chosen = 0;
    for (int32_t block = 0; block < num_blocks; block++) {
        if (!(masses[block] > 0)) continue;
        chosen = block;
        share = (point - before) / masses[block];
        before += masses[block];
        if (point < before) break;
    }
    const float *from = logits + chosen * COLUMNS;
    float limit = (float)share * sums.tempered[chosen], sum = 0;
    int32_t last = 0;
    for (int32_t column = 0; column < COLUMNS; column += 16) {
        f32x16 weights = at_temperature(load16(from + column) - sums.largest[chosen], inverse_temperature);
        for (int lane = 0; lane < 16; lane++) {
            if (!(weights[lane] > 0)) continue;
            sum += weights[lane];
            last = column + lane;
            if (limit < sum) return chosen * COLUMNS + last;
        }
    }
    return chosen * COLUMNS + last;
}

static int32_t draw_or_take(const Sequence *sequence, const float *logits, BlockSums sums, Sampler *sampler) {
    float inverse_temperature = inverse_temperature_of(sequence);
    if (inverse_temperature == 0) return likeliest(logits, sums, sampler->num_blocks);
    double u = uniform_at(sequence->seed, sequence->position + sequence->num_tokens);
    return draw(logits, sums, sampler->num_blocks, inverse_temperature, u, sampler->masses);
}

static int is_truncated(const Sequence *sequence, const Sampler *sampler) {
    return inverse_temperature_of(sequence) > 0 && ((sequence->top_k > 0 && sequence->top_k < sampler->vocab_size) ||
                                         sequence->top_p < 1 || sequence->min_p > 0 || sequence->typical_p < 1);
}

// Each filter sees what the one before it has left. Typical tokens come last, as in Hugging Face's transformers, which keep
// all tokens that tie with the last one; here the first of them is kept.
static void truncate_logits(const Sequence *sequence, Sampler *sampler) {
    float inverse_temperature = inverse_temperature_of(sequence), largest = -INFINITY;
    for (int32_t column = 0; column < sampler->num_blocks * COLUMNS; column += 16)
        largest = fmaxf(largest, max_of(load16(sampler->work + column)));
    Order by_logit = {sampler->work, largest, inverse_temperature};
    if (sequence->top_k > 0 && sequence->top_k < sampler->vocab_size)
        keep_top_k(sampler, sequence->top_k, by_logit);
    if (sequence->min_p > 0)
        drop_below(sampler, sampler->work, (float)(largest + log_of(sequence->min_p) / inverse_temperature));
    if (sequence->top_p < 1) keep_share(sampler, sequence->top_p, largest, inverse_temperature, by_logit);
    if (sequence->typical_p < 1)
        keep_share(sampler, sequence->typical_p, largest, inverse_temperature,
                   order_by_nearness(sampler, largest, inverse_temperature));
}

// Sum the changed logits up by block.
static BlockSums sum_work(const Sequence *sequence, Sampler *sampler) {
    BlockSums sums = sums_of_row(sampler->sums, 0, sampler->num_blocks);
    for (int32_t block = 0; block < sampler->num_blocks; block++)
        put_sum(sums, block, sum_block(sampler->work + block * COLUMNS, inverse_temperature_of(sequence)));
    return sums;
}

// Find the likeliest next tokens, from which a beam search branches.
static void find_branches(Sequence *sequence, const float *logits, double log_sum, Sampler *sampler) {
    memcpy(sampler->work, logits, (size_t)sampler->num_blocks * COLUMNS * sizeof *logits);
    adjust(sequence, sampler);
    find_top(sampler->work, sum_work(sequence, sampler), sampler->num_blocks, log_sum, sequence->num_branches,
             sequence->branch_ids, sequence->branch_scores);
    for (int32_t branch = 0; branch < sequence->num_branches; branch++)
        sequence->branch_logprobs[branch] = (float)(logits[sequence->branch_ids[branch]] - log_sum);
}

// Sample from a changed copy of the logits: those in place are still needed for log-probabilities.
static int32_t sample_from_copy(const Sequence *sequence, const float *logits, Sampler *sampler) {
    memcpy(sampler->work, logits, (size_t)sampler->num_blocks * COLUMNS * sizeof *logits);
    adjust(sequence, sampler);
    if (is_truncated(sequence, sampler)) truncate_logits(sequence, sampler);
    return draw_or_take(sequence, sampler->work, sum_work(sequence, sampler), sampler);
}

#define MAX_FEW 8

// A few biases and bans, the ordinary case: made in place and taken back, which costs less than to copy and sum a row.
static int32_t sample_with_few_biases(const Sequence *sequence, float *logits, BlockSums sums,
                                      Sampler *sampler) {
    float kept[MAX_FEW + 1], eos_logit = logits[sampler->eos_id];
    BlockSum kept_sums[MAX_FEW + 1];
    int32_t num_bias = sequence->num_bias, last = sampler->eos_id / COLUMNS;
    float inverse_temperature = inverse_temperature_of(sequence);
    for (int32_t i = 0; i < num_bias; i++) kept[i] = logits[sequence->bias_ids[i]];
    for (int32_t i = 0; i < num_bias; i++) kept_sums[i] = get_sum(sums, sequence->bias_ids[i] / COLUMNS);
    kept_sums[num_bias] = get_sum(sums, last);
    for (int32_t i = 0; i < num_bias; i++) logits[sequence->bias_ids[i]] += sequence->bias_values[i];
    if (sequence->ignore_eos) logits[sampler->eos_id] = -INFINITY;
    for (int32_t i = 0; i <= num_bias; i++) {
        int32_t block = i < num_bias ? sequence->bias_ids[i] / COLUMNS : last;
        put_sum(sums, block, sum_block(logits + block * COLUMNS, inverse_temperature));
    }
    int32_t token = draw_or_take(sequence, logits, sums, sampler);
    for (int32_t i = num_bias - 1; i >= 0; i--) logits[sequence->bias_ids[i]] = kept[i];
    logits[sampler->eos_id] = eos_logit;
    put_sum(sums, last, kept_sums[num_bias]);
    for (int32_t i = num_bias - 1; i >= 0; i--) put_sum(sums, sequence->bias_ids[i] / COLUMNS, kept_sums[i]);
    return token;
}

static int32_t sample(const Sequence *sequence, float *logits, BlockSums sums, Sampler *sampler) {
    int is_penalised = sequence->repetition_penalty != 1 || sequence->frequency_penalty != 0 ||
                       sequence->presence_penalty != 0;
    if (is_penalised || sequence->allowed || sequence->num_bias > MAX_FEW || is_truncated(sequence, sampler))
        return sample_from_copy(sequence, logits, sampler);
    if (sequence->num_bias || sequence->ignore_eos)
        return sample_with_few_biases(sequence, logits, sums, sampler);
    return draw_or_take(sequence, logits, sums, sampler);
}

// A text that is only read: no logits are computed, since its state is what is wanted.
INLINE int is_prefill_only(const Sequence *sequence) {
    return sequence->purpose == GENERATE && sequence->max_written == 0;
}

INLINE int wants_logits(const Sequence *sequence) {
    if (is_prefill_only(sequence)) return 0;
    return sequence->purpose == SCORE || sequence->num_read + 1 == sequence->num_tokens;
}

static void report(Sequence *sequence, int64_t index, const float *logits, BlockSums sums, double log_sum,
                   int32_t token, const Sampler *sampler) {
    sequence->logprobs[index] = (float)(logits[token] - log_sum);
    if (sequence->ranks) sequence->ranks[index] = rank_of(logits, sampler->num_blocks, logits[token]);
    if (sequence->num_top)
        find_top(logits, sums, sampler->num_blocks, log_sum, sequence->num_top,
                 sequence->top_ids + index * sequence->num_top, sequence->top_logprobs + index * sequence->num_top);
}

// Normalise among candidates, whose logits are in `log_probs`: the answer of a prediction, or the log-probability of the
// target of a score at `index`, which is one of them.
static void answer_among(Sequence *sequence, int32_t index, float target) {
    float *log_probs = sequence->log_probs, largest = -INFINITY;
    for (int32_t i = 0; i < sequence->num_candidates; i++) largest = fmaxf(largest, log_probs[i]);
    double total = 0;
    for (int32_t i = 0; i < sequence->num_candidates; i++) total += exp_of(log_probs[i] - largest);
    double log_sum = largest + log_of(total);
    if (sequence->purpose == SCORE) {
        sequence->logprobs[index] = (float)(target - log_sum);
        return;
    }
    for (int32_t i = 0; i < sequence->num_candidates; i++) log_probs[i] = (float)(log_probs[i] - log_sum);
    sequence->status = ANSWERED;
}

// Use the logits that the sequence requested at `index`. A score may be answered at several indices at once, by several
// threads: so whoever requested them moves its cursor.
static void answer(Sequence *sequence, int32_t index, float *logits, BlockSums sums, Sampler *sampler) {
    if (sequence->candidates) {
        for (int32_t i = 0; i < sequence->num_candidates; i++)
            sequence->log_probs[i] = logits[sequence->candidates[i]];
        answer_among(sequence, index, sequence->purpose == SCORE ? logits[sequence->tokens[index + 1]] : 0);
        return;
    }
    double log_sum = log_total(sums, sampler->num_blocks);
    if (sequence->purpose == PREDICT) {
        for (int32_t token = 0; sequence->log_probs && token < sampler->vocab_size; token++)
            sequence->log_probs[token] = (float)(logits[token] - log_sum);
        sequence->entropy = entropy_of(logits, sampler->num_blocks, largest_of(sums, sampler->num_blocks), log_sum);
        if (sequence->num_top)
            find_top(logits, sums, sampler->num_blocks, log_sum, sequence->num_top, sequence->top_ids,
                     sequence->top_logprobs);
        sequence->status = ANSWERED;
    } else if (sequence->purpose == BRANCH) {
        if (sequence->num_top)
            find_top(logits, sums, sampler->num_blocks, log_sum, sequence->num_top, sequence->top_ids,
                     sequence->top_logprobs);
        find_branches(sequence, logits, log_sum, sampler);
        sequence->status = ANSWERED;
    } else if (sequence->purpose == SCORE) {
        report(sequence, index, logits, sums, log_sum, sequence->tokens[index + 1], sampler);
    } else {
        int32_t token = sample(sequence, logits, sums, sampler);
        report(sequence, index, logits, sums, log_sum, token, sampler);
        sequence->num_found++;
        sequence->tokens[sequence->num_tokens++] = token;
        if (token == sampler->eos_id) sequence->status = STOPPED;
        else if (sequence->num_tokens - sequence->num_given >= sequence->max_written) sequence->status = FULL;
    }
}

// Move the cursor of a score behind the token at `index`, which was answered.
static void advance_score(Sequence *sequence, int32_t index) {
    if (sequence->purpose != SCORE) return;
    sequence->num_found = index + 1;
    if (index + 2 == sequence->num_tokens) sequence->status = ANSWERED;
}

#endif
