// From a row of logits to what its sequence asked for: a token, the log-probability of a given one, or all of them.
#ifndef REFRAIN_CHOOSE_H
#define REFRAIN_CHOOSE_H

#include "network.h"

enum { GENERATE = 0, SCORE = 1, LOOK = 2, BRANCH = 3 };
enum { RUNNING = 0, STOPPED = 1, FULL = 2, ANSWERED = 3 };

// Hidden states that a text has had, and the token that followed each; see cache.h.
typedef struct {
    const uint8_t *keys;    // [window][size], a ring; 128 stands for 0 and 255 for 1
    const int32_t *values;
    int64_t size;           // of the last layer, padded
    int32_t window, first, num_entries;  // the oldest entry is `first`
    float flatness, weight;
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
    float *log_probs;       // LOOK: [V], or null for the top alone; of a look or score among candidates: [num_candidates]
    int32_t *branch_ids;    // BRANCH: [num_branches] the tokens that a text may best go on with
    float *branch_scores;   // their log-probabilities after biases, bans and penalties
    float *branch_logprobs; // and without them
    const int32_t *bias_ids;
    const float *bias_values;
    const uint64_t *allowed;  // one bit a token; null allows all
    const int32_t *candidates;  // the tokens that a look or a score is restricted to; null for all
    uint8_t *hidden;        // [.., size] the last layer's state: SCORE, before each token; mute, after each; or null
    float *cache_probs;     // SCORE with a cache: what the cache alone gives each token; log-probabilities stay plain
    Cache cache;            // without keys: none
    uint64_t seed;
    int64_t position;       // of tokens[0]
    double entropy;         // LOOK: of the whole distribution, in nats
    int32_t purpose, status, parity;
    int32_t num_tokens, num_given, num_read, num_found;
    int32_t mark;           // the call returns when this many are read; -1 for never
    int32_t max_written, num_bias, num_top, top_k, ignore_eos, num_candidates, num_branches;
    float temperature, top_p, min_p, typical_p;
    float repetition_penalty, frequency_penalty, presence_penalty;
} Sequence;

// What choosing needs to know and to write on; one of each a thread.
typedef struct {
    int32_t vocab_size, num_blocks, boundary, unused;
    float *work;        // [num_blocks * 64] logits that may be changed
    float *sums;        // [3][padded num_blocks]
    uint64_t *seen;     // [V / 64 + 1] bits, all 0 between rows
    float *nearness;    // [num_blocks * 64] how near a token's surprise is to the entropy: 0 at best
    int32_t *sorted;    // [V]
    float *masses;      // [padded num_blocks]
    float *weights;     // [MAX_ENTRIES]
} Choosing;

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
INLINE f32x16 masses_of(BlockSums sums, const float *own, int32_t block, float largest, float inverse_temperature) {
    return load16(own + block) * exp16((load16(sums.largest + block) - largest) * inverse_temperature);
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
            int32_t place = num_found < num_top ? num_found++ : num_top - 1;
            for (; place > 0 && logits[ids[place - 1]] < logits[token]; place--) ids[place] = ids[place - 1];
            ids[place] = token;
        }
    }
    for (int32_t place = 0; place < num_top; place++) logprobs[place] = (float)(logits[ids[place]] - log_sum);
}

static int is_first_seen(Choosing *choosing, int32_t token) {
    uint64_t bit = 1ull << (token % 64), *word = &choosing->seen[token / 64];
    int is_first = !(*word & bit);
    *word |= bit;
    return is_first;
}

static void forget(Choosing *choosing, const int32_t *tokens, int64_t num_tokens) {
    for (int64_t place = 0; place < num_tokens; place++) choosing->seen[tokens[place] / 64] = 0;
}

// Every token of the text, the boundary that begins it aside, once.
static void penalise_repetition(const Sequence *sequence, Choosing *choosing) {
    float penalty = sequence->repetition_penalty;
    for (int64_t place = sequence->position == 0; place < sequence->num_tokens; place++) {
        int32_t token = sequence->tokens[place];
        if (!is_first_seen(choosing, token)) continue;
        float logit = choosing->work[token];
        choosing->work[token] = logit > 0 ? logit / penalty : logit * penalty;
    }
    forget(choosing, sequence->tokens, sequence->num_tokens);
}

// Every token written so far: by its count, and for its presence.
static void penalise_written(const Sequence *sequence, Choosing *choosing) {
    const int32_t *written = sequence->tokens + sequence->num_given;
    int64_t num_written = sequence->num_tokens - sequence->num_given;
    for (int64_t place = 0; place < num_written; place++) {
        choosing->work[written[place]] -= sequence->frequency_penalty;
        if (is_first_seen(choosing, written[place])) choosing->work[written[place]] -= sequence->presence_penalty;
    }
    forget(choosing, written, num_written);
}

static void change(const Sequence *sequence, Choosing *choosing) {
    if (sequence->repetition_penalty != 1) penalise_repetition(sequence, choosing);
    if (sequence->frequency_penalty != 0 || sequence->presence_penalty != 0) penalise_written(sequence, choosing);
    for (int32_t i = 0; i < sequence->num_bias; i++)
        choosing->work[sequence->bias_ids[i]] += sequence->bias_values[i];
    if (sequence->ignore_eos) choosing->work[choosing->boundary] = -INFINITY;
    if (sequence->allowed)
        for (int32_t token = 0; token < choosing->vocab_size; token++)
            if (!(sequence->allowed[token / 64] >> (token % 64) & 1)) choosing->work[token] = -INFINITY;
}

// Sort tokens by key, largest first, equal ones by number (a heap sort: no memory, no worst case).
static int comes_later(const float *keys, int32_t a, int32_t b) {
    return keys[a] < keys[b] || (keys[a] == keys[b] && a > b);
}

static void sink(const float *keys, int32_t *tokens, int32_t root, int32_t num_tokens) {
    for (int32_t child; (child = 2 * root + 1) < num_tokens; root = child) {
        if (child + 1 < num_tokens && comes_later(keys, tokens[child + 1], tokens[child])) child++;
        if (!comes_later(keys, tokens[child], tokens[root])) return;
        int32_t kept = tokens[root];
        tokens[root] = tokens[child];
        tokens[child] = kept;
    }
}

static void sort_by_key(const float *keys, int32_t *tokens, int32_t num_tokens) {
    for (int32_t root = num_tokens / 2 - 1; root >= 0; root--) sink(keys, tokens, root, num_tokens);
    for (int32_t last = num_tokens - 1; last > 0; last--) {
        int32_t kept = tokens[0];
        tokens[0] = tokens[last];
        tokens[last] = kept;
        sink(keys, tokens, 0, last);
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
static int32_t collect(Choosing *choosing, Order order, int32_t bin) {
    int32_t num_found = 0;
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
        i32x16 are_found = (bins_of(order, column) == bin) & are_left(order, column);
        if (__builtin_reduce_min(are_found) == 0) continue;
        for (int lane = 0; lane < 16; lane++)
            if (are_found[lane]) choosing->sorted[num_found++] = column + lane;
    }
    sort_by_key(order.keys, choosing->sorted, num_found);
    return num_found;
}

static void drop_below(Choosing *choosing, const float *keys, float limit) {
    f32x16 limits = splat(limit);
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
        i32x16 is_kept = load16(keys + column) >= limits;
        store16(choosing->work + column, select16(is_kept, load16(choosing->work + column), splat(-INFINITY)));
    }
}

// Keep the k likeliest and those equal to the k-th.
static void keep_top_k(Choosing *choosing, int32_t top_k, Order order) {
    int32_t counts[BINS] = {0}, bin = 0, before = 0;
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
        i32x16 bins = bins_of(order, column), are_counted = are_left(order, column);
        for (int lane = 0; lane < 16; lane++) counts[bins[lane]] -= are_counted[lane];
    }
    while (bin < BINS && before + counts[bin] < top_k) before += counts[bin++];
    if (bin == BINS) return;  // fewer than k are left
    collect(choosing, order, bin);
    drop_below(choosing, order.keys, order.keys[choosing->sorted[top_k - before - 1]]);
}

// Keep the first tokens of an order whose predecessors hold less than `share` of what is left; one at least.
static void keep_share(Choosing *choosing, float share, float largest, float inverse_temperature, Order order) {
    double masses[BINS] = {0}, total = 0, before = 0;
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
        f32x16 weights = at_temperature(load16(choosing->work + column) - largest, inverse_temperature);
        i32x16 bins = bins_of(order, column);
        for (int lane = 0; lane < 16; lane++) masses[bins[lane]] += weights[lane];
    }
    for (int32_t bin = 0; bin < BINS; bin++) total += masses[bin];
    double limit = share * total;
    int32_t bin = 0;
    while (bin < BINS - 1 && before + masses[bin] < limit) before += masses[bin++];
    int32_t num_found = collect(choosing, order, bin), num_kept = 0;
    for (; num_kept < num_found && (before < limit || before == 0); num_kept++)
        before += exp_of((choosing->work[choosing->sorted[num_kept]] - largest) * inverse_temperature);
    if (num_kept == num_found) {  // whole bins are kept
        for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
            f32x16 logits = load16(choosing->work + column);
            store16(choosing->work + column, select16(bins_of(order, column) > bin, splat(-INFINITY), logits));
        }
        return;
    }
    float first_dropped = order.keys[choosing->sorted[num_kept]];
    for (int32_t i = num_kept; i < num_found; i++) choosing->work[choosing->sorted[i]] = -INFINITY;
    drop_below(choosing, order.keys, first_dropped);
}

// Locally typical sampling (Meister, Pimentel, Wiher & Cotterell 2023, "Locally Typical Sampling", TACL 11): order what
// is left by |-log p - H|, where H is its entropy, the mean of -log p. The logarithm of the sum of weights is part of
// both, so that the difference is that of a logit from the mean logit, and no logarithm is taken.
static Order order_by_nearness(Choosing *choosing, float largest, float inverse_temperature) {
    double total = 0, weighted = 0;
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
        f32x16 nats = (load16(choosing->work + column) - largest) * inverse_temperature, weights = exp16(nats);
        total += sum_of(weights);
        weighted += sum_of(select16(weights > splat(0), weights * nats, splat(0)));
    }
    float mean = (float)(weighted / total);
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16) {
        f32x16 nats = (load16(choosing->work + column) - largest) * inverse_temperature;
        store16(choosing->nearness + column, min16(nats - mean, mean - nats));
    }
    return (Order){choosing->nearness, 0, 1};
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

static int32_t draw_or_take(const Sequence *sequence, const float *logits, BlockSums sums, Choosing *choosing) {
    float inverse_temperature = inverse_temperature_of(sequence);
    if (inverse_temperature == 0) return likeliest(logits, sums, choosing->num_blocks);
    double u = uniform_at(sequence->seed, sequence->position + sequence->num_tokens);
    return draw(logits, sums, choosing->num_blocks, inverse_temperature, u, choosing->masses);
}

static int keeps_some(const Sequence *sequence, const Choosing *choosing) {
    return inverse_temperature_of(sequence) > 0 && ((sequence->top_k > 0 && sequence->top_k < choosing->vocab_size) ||
                                         sequence->top_p < 1 || sequence->min_p > 0 || sequence->typical_p < 1);
}

// Each looks at what the one before it has left. Typical tokens come last, as in Hugging Face's transformers; there all
// that are as near as the last one are kept, here the first of them.
static void keep_some(const Sequence *sequence, Choosing *choosing) {
    float inverse_temperature = inverse_temperature_of(sequence), largest = -INFINITY;
    for (int32_t column = 0; column < choosing->num_blocks * COLUMNS; column += 16)
        largest = fmaxf(largest, max_of(load16(choosing->work + column)));
    Order by_logit = {choosing->work, largest, inverse_temperature};
    if (sequence->top_k > 0 && sequence->top_k < choosing->vocab_size)
        keep_top_k(choosing, sequence->top_k, by_logit);
    if (sequence->min_p > 0)
        drop_below(choosing, choosing->work, (float)(largest + log_of(sequence->min_p) / inverse_temperature));
    if (sequence->top_p < 1) keep_share(choosing, sequence->top_p, largest, inverse_temperature, by_logit);
    if (sequence->typical_p < 1)
        keep_share(choosing, sequence->typical_p, largest, inverse_temperature,
                   order_by_nearness(choosing, largest, inverse_temperature));
}

// Sum up the changed logits.
static BlockSums sum_work(const Sequence *sequence, Choosing *choosing) {
    BlockSums sums = sums_of_row(choosing->sums, 0, choosing->num_blocks);
    for (int32_t block = 0; block < choosing->num_blocks; block++)
        put_sum(sums, block, sum_block(choosing->work + block * COLUMNS, inverse_temperature_of(sequence)));
    return sums;
}

// Find the tokens that a text may best go on with.
static void find_branches(Sequence *sequence, const float *logits, double log_sum, Choosing *choosing) {
    memcpy(choosing->work, logits, (size_t)choosing->num_blocks * COLUMNS * sizeof *logits);
    change(sequence, choosing);
    find_top(choosing->work, sum_work(sequence, choosing), choosing->num_blocks, log_sum, sequence->num_branches,
             sequence->branch_ids, sequence->branch_scores);
    for (int32_t branch = 0; branch < sequence->num_branches; branch++)
        sequence->branch_logprobs[branch] = (float)(logits[sequence->branch_ids[branch]] - log_sum);
}

// Choose from a changed copy of the logits.
static int32_t choose_from_copy(const Sequence *sequence, const float *logits, Choosing *choosing) {
    memcpy(choosing->work, logits, (size_t)choosing->num_blocks * COLUMNS * sizeof *logits);
    change(sequence, choosing);
    if (keeps_some(sequence, choosing)) keep_some(sequence, choosing);
    return draw_or_take(sequence, choosing->work, sum_work(sequence, choosing), choosing);
}

#define MAX_FEW 8

// A few biases and bans, the ordinary case: made in place, and taken back.
static int32_t choose_with_few_biases(const Sequence *sequence, float *logits, BlockSums sums,
                                      Choosing *choosing) {
    float kept[MAX_FEW + 1], boundary = logits[choosing->boundary];
    BlockSum kept_sums[MAX_FEW + 1];
    int32_t num_bias = sequence->num_bias, last = choosing->boundary / COLUMNS;
    float inverse_temperature = inverse_temperature_of(sequence);
    for (int32_t i = 0; i < num_bias; i++) kept[i] = logits[sequence->bias_ids[i]];
    for (int32_t i = 0; i < num_bias; i++) kept_sums[i] = get_sum(sums, sequence->bias_ids[i] / COLUMNS);
    kept_sums[num_bias] = get_sum(sums, last);
    for (int32_t i = 0; i < num_bias; i++) logits[sequence->bias_ids[i]] += sequence->bias_values[i];
    if (sequence->ignore_eos) logits[choosing->boundary] = -INFINITY;
    for (int32_t i = 0; i <= num_bias; i++) {
        int32_t block = i < num_bias ? sequence->bias_ids[i] / COLUMNS : last;
        put_sum(sums, block, sum_block(logits + block * COLUMNS, inverse_temperature));
    }
    int32_t token = draw_or_take(sequence, logits, sums, choosing);
    for (int32_t i = num_bias - 1; i >= 0; i--) logits[sequence->bias_ids[i]] = kept[i];
    logits[choosing->boundary] = boundary;
    put_sum(sums, last, kept_sums[num_bias]);
    for (int32_t i = num_bias - 1; i >= 0; i--) put_sum(sums, sequence->bias_ids[i] / COLUMNS, kept_sums[i]);
    return token;
}

static int32_t choose(const Sequence *sequence, float *logits, BlockSums sums, Choosing *choosing) {
    int is_penalised = sequence->repetition_penalty != 1 || sequence->frequency_penalty != 0 ||
                       sequence->presence_penalty != 0;
    if (is_penalised || sequence->allowed || sequence->num_bias > MAX_FEW || keeps_some(sequence, choosing))
        return choose_from_copy(sequence, logits, choosing);
    if (sequence->num_bias || sequence->ignore_eos)
        return choose_with_few_biases(sequence, logits, sums, choosing);
    return draw_or_take(sequence, logits, sums, choosing);
}

// A text that is only read: its state is what is wanted.
INLINE int is_mute(const Sequence *sequence) { return sequence->purpose == GENERATE && sequence->max_written == 0; }

INLINE int wants_logits(const Sequence *sequence) {
    if (is_mute(sequence)) return 0;
    return sequence->purpose == SCORE || sequence->num_read + 1 == sequence->num_tokens;
}

static void found(Sequence *sequence, int64_t place, const float *logits, BlockSums sums, double log_sum, int32_t token,
                  const Choosing *choosing) {
    sequence->logprobs[place] = (float)(logits[token] - log_sum);
    if (sequence->ranks) sequence->ranks[place] = rank_of(logits, choosing->num_blocks, logits[token]);
    if (sequence->num_top)
        find_top(logits, sums, choosing->num_blocks, log_sum, sequence->num_top,
                 sequence->top_ids + place * sequence->num_top, sequence->top_logprobs + place * sequence->num_top);
}

// Normalise among candidates, whose logits are in `log_probs`: a look's answer, or the log-probability of a score's
// `place`-th target, which is one of them.
static void answer_among(Sequence *sequence, int32_t place, float target) {
    float *log_probs = sequence->log_probs, largest = -INFINITY;
    for (int32_t i = 0; i < sequence->num_candidates; i++) largest = fmaxf(largest, log_probs[i]);
    double total = 0;
    for (int32_t i = 0; i < sequence->num_candidates; i++) total += exp_of(log_probs[i] - largest);
    double log_sum = largest + log_of(total);
    if (sequence->purpose == SCORE) {
        sequence->logprobs[place] = (float)(target - log_sum);
        return;
    }
    for (int32_t i = 0; i < sequence->num_candidates; i++) log_probs[i] = (float)(log_probs[i] - log_sum);
    sequence->status = ANSWERED;
}

// Use logits: the `place`-th that the sequence has asked for. A score may be answered for several places at once, by
// several threads: its cursor is moved by whoever asked.
static void answer(Sequence *sequence, int32_t place, float *logits, BlockSums sums, Choosing *choosing) {
    if (sequence->candidates) {
        for (int32_t i = 0; i < sequence->num_candidates; i++)
            sequence->log_probs[i] = logits[sequence->candidates[i]];
        answer_among(sequence, place, sequence->purpose == SCORE ? logits[sequence->tokens[place + 1]] : 0);
        return;
    }
    double log_sum = log_total(sums, choosing->num_blocks);
    if (sequence->purpose == LOOK) {
        for (int32_t token = 0; sequence->log_probs && token < choosing->vocab_size; token++)
            sequence->log_probs[token] = (float)(logits[token] - log_sum);
        sequence->entropy = entropy_of(logits, choosing->num_blocks, largest_of(sums, choosing->num_blocks), log_sum);
        if (sequence->num_top)
            find_top(logits, sums, choosing->num_blocks, log_sum, sequence->num_top, sequence->top_ids,
                     sequence->top_logprobs);
        sequence->status = ANSWERED;
    } else if (sequence->purpose == BRANCH) {
        if (sequence->num_top)
            find_top(logits, sums, choosing->num_blocks, log_sum, sequence->num_top, sequence->top_ids,
                     sequence->top_logprobs);
        find_branches(sequence, logits, log_sum, choosing);
        sequence->status = ANSWERED;
    } else if (sequence->purpose == SCORE) {
        found(sequence, place, logits, sums, log_sum, sequence->tokens[place + 1], choosing);
    } else {
        int32_t token = choose(sequence, logits, sums, choosing);
        found(sequence, place, logits, sums, log_sum, token, choosing);
        sequence->num_found++;
        sequence->tokens[sequence->num_tokens++] = token;
        if (token == choosing->boundary) sequence->status = STOPPED;
        else if (sequence->num_tokens - sequence->num_given >= sequence->max_written) sequence->status = FULL;
    }
}

// Move the cursor of a score that was answered for its `place`-th token.
static void move_on(Sequence *sequence, int32_t place) {
    if (sequence->purpose != SCORE) return;
    sequence->num_found = place + 1;
    if (place + 2 == sequence->num_tokens) sequence->status = ANSWERED;
}

#endif
