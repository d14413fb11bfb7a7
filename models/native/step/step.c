// The native part of Refrain: many sequences advance by many steps in one call that holds no lock of Python's.
#include "../processor.h"
#include "cache.h"
#include "candidates.h"
#include "table.h"

typedef struct {
    const Network *network;
    Threads *threads;
    Sampler *samplers;  // one a thread
    int32_t max_rows, num_requested;
    Row *rows;
    Sequence **sequences;  // those of this step, as rows
    LogitRow *logit_rows;  // [max_rows] rows of logits that were requested: by whom, and at which of its indices
    Sequence **requesters;
    int32_t *indices;
    uint8_t *kept;         // [max_rows][size of the last layer] hidden states of scores, which may wait for more rows
    float *logits;         // [max_rows][num_blocks * 64]
    float *block_sums;     // [max_rows][3][padded num_blocks]
} Workspace;

INLINE const Layer *last_layer(const Network *network) { return &network->layers[network->num_layers - 1]; }

static void answer_row(void *context, int32_t item, int32_t thread) {
    Workspace *workspace = context;
    Sampler *sampler = &workspace->samplers[thread];
    int64_t num_blocks = sampler->num_blocks;
    Sequence *sequence = workspace->requesters[item];
    int32_t index = workspace->indices[item];
    float *logits = workspace->logits + item * num_blocks * COLUMNS;
    BlockSums sums = sums_of_row(workspace->block_sums, item, num_blocks);
    const uint8_t *hidden = workspace->logit_rows[item].hidden;
    if (sequence->cache_probs) recall(sequence, index, hidden, sampler);
    else if (sequence->cache.keys) blend(sequence, hidden, logits, sums, sampler);
    answer(sequence, index, logits, sums, sampler);
}

// Compute the requested logits and answer.
static void answer_all(Workspace *workspace) {
    int32_t num_rows = workspace->num_requested;
    Step step = {.network = workspace->network, .logit_rows = workspace->logit_rows, .num_rows = num_rows,
                 .logits = workspace->logits, .block_sums = workspace->block_sums};
    for_each(workspace->threads, num_rows, workspace->network->num_vocab_blocks, logits_block, &step);
    for_each(workspace->threads, num_rows, num_rows, answer_row, workspace);
    for (int32_t row = 0; row < num_rows; row++) advance_score(workspace->requesters[row], workspace->indices[row]);
    workspace->num_requested = 0;
}

// A prediction or a score among a few candidates: no other column of the output is computed.
static void answer_restricted(void *context, int32_t item, int32_t thread) {
    (void)thread;
    Workspace *workspace = context;
    Sequence *sequence = workspace->requesters[workspace->max_rows - 1 - item];
    const uint8_t *hidden = sequence->slot + last_layer(workspace->network)->hidden_at[!sequence->parity];
    among_candidates(workspace->network, sequence, hidden, sequence->num_found);
}

static int32_t gather_rows(Workspace *workspace, Sequence **sequences, int32_t num_sequences) {
    int32_t num_rows = 0;
    for (int32_t i = 0; i < num_sequences; i++) {
        Sequence *sequence = sequences[i];
        if (sequence->status != RUNNING) continue;
        workspace->sequences[num_rows] = sequence;
        workspace->rows[num_rows++] = (Row){sequence->slot, sequence->parity, sequence->tokens[sequence->num_read]};
    }
    return num_rows;
}

// Keep a row's new hidden state with those before it: the slot holds no more than the last two.
static const uint8_t *keep_hidden(const Network *network, Sequence *sequence) {
    const Layer *last = last_layer(network);
    uint8_t *kept = sequence->hidden + sequence->num_read * last->hidden_size;
    return memcpy(kept, sequence->slot + last->hidden_at[!sequence->parity], last->hidden_size);
}

// Request the logits after a row's new hidden state; returns whether the sequence cannot go on without them. A score that
// is not at its end can: then one product serves many of its tokens, so that the output's weights are read less often.
static int request_logits(Workspace *workspace, Sequence *sequence) {
    const Layer *last = last_layer(workspace->network);
    const uint8_t *hidden = sequence->slot + last->hidden_at[!sequence->parity];
    int32_t row = workspace->num_requested++, is_score = sequence->purpose == SCORE;
    if (is_score)
        hidden = sequence->hidden ? keep_hidden(workspace->network, sequence)
                                  : memcpy(workspace->kept + row * last->hidden_size, hidden, last->hidden_size);
    workspace->logit_rows[row] = (LogitRow){hidden, inverse_temperature_of(sequence), 0};
    workspace->requesters[row] = sequence;
    workspace->indices[row] = is_score ? sequence->num_read : sequence->num_found;
    return !is_score || sequence->num_read + 2 == sequence->num_tokens;
}

static int advance(Workspace *workspace, int32_t num_rows) {
    const Network *network = workspace->network;
    Step step = {.network = network, .rows = workspace->rows, .num_rows = num_rows};
    for (int32_t index = 0; index < network->num_layers; index++) {
        step.layer = &network->layers[index];
        step.below = index ? &network->layers[index - 1] : NULL;
        for_each(workspace->threads, num_rows, step.layer->num_blocks, step_block, &step);
    }
    if (workspace->num_requested + num_rows > workspace->max_rows) answer_all(workspace);
    int is_urgent = 0, has_result = 0;
    int32_t num_restricted = 0;
    for (int32_t row = 0; row < num_rows; row++) {
        Sequence *sequence = workspace->sequences[row];
        if (!wants_logits(sequence)) {
            if (is_prefill_only(sequence) && sequence->hidden) keep_hidden(network, sequence);
            continue;
        }
        if (sequence->candidates) workspace->requesters[workspace->max_rows - ++num_restricted] = sequence;
        else is_urgent |= request_logits(workspace, sequence);
    }
    if (is_urgent) answer_all(workspace);
    if (num_restricted) for_each(workspace->threads, num_restricted, num_restricted, answer_restricted, workspace);
    for (int32_t row = 0; row < num_rows; row++) {
        Sequence *sequence = workspace->sequences[row];
        sequence->num_read++;
        sequence->parity = !sequence->parity;
        if (is_prefill_only(sequence) && sequence->num_read == sequence->num_tokens) sequence->status = FULL;
        has_result |= sequence->status != RUNNING || sequence->num_read == sequence->mark;
    }
    return has_result;
}

// Advance all sequences until one is done or at its mark, `max_steps` are made, or another thread sets `interrupt`; one
// step at least. Returns the number of steps.
int32_t step_run(Workspace *workspace, Sequence **sequences, int32_t num_sequences, int32_t max_steps,
                    const int32_t *interrupt) {
    int32_t num_steps = 0;
    while (num_steps < max_steps) {
        int32_t num_rows = gather_rows(workspace, sequences, num_sequences);
        if (num_rows == 0) break;
        int has_result = advance(workspace, num_rows);
        num_steps++;
        if (has_result || __atomic_load_n(interrupt, __ATOMIC_ACQUIRE)) break;
    }
    if (workspace->num_requested) answer_all(workspace);
    return num_steps;
}

// A network in floating point may overflow: NaN becomes as unlikely as can be. The padding, -infinity, stays.
static void make_finite(float *logits, int64_t size) {
    const f32x16 largest = splat(1e30f);
    for (int64_t column = 0; column < size; column += 16) {
        f32x16 some = load16(logits + column);
        store16(logits + column, min16(select16(some == some, some, -largest), largest));
    }
}

// Use logits that were computed elsewhere, [num_sequences][num_blocks * 64] and padded with -infinity.
static void sum_and_answer_row(void *context, int32_t item, int32_t thread) {
    Workspace *workspace = context;
    Sampler *sampler = &workspace->samplers[thread];
    Sequence *sequence = workspace->sequences[item];
    int64_t num_blocks = sampler->num_blocks;
    float *logits = workspace->logits + item * num_blocks * COLUMNS;
    BlockSums sums = sums_of_row(workspace->block_sums, item, num_blocks);
    make_finite(logits, num_blocks * COLUMNS);
    for (int64_t block = 0; block < num_blocks; block++)
        put_sum(sums, block, sum_block(logits + block * COLUMNS, inverse_temperature_of(sequence)));
    answer(sequence, sequence->num_found, logits, sums, sampler);
    advance_score(sequence, sequence->num_found);
}

void step_answer(Workspace *workspace, Sequence **sequences, int32_t num_sequences) {
    for (int32_t i = 0; i < num_sequences; i++) workspace->sequences[i] = sequences[i];
    for_each(workspace->threads, num_sequences, num_sequences, sum_and_answer_row, workspace);
    for (int32_t i = 0; i < num_sequences; i++) sequences[i]->num_read++;
}

// The matrix products of a step alone, for benchmarks: the limit that the engine is measured against.
typedef struct {
    Step step;
    int32_t sink;
} Products;

static void products_block(void *context, int32_t block, int32_t thread) {
    (void)thread;
    Products *products = context;
    const Layer *layer = products->step.layer;
    const Network *network = products->step.network;
    const Layer *last = &network->layers[network->num_layers - 1];
    int64_t num_k = layer ? layer->input_size + layer->hidden_size : last->hidden_size;
    const int8_t *weight = (layer ? layer->weight : network->output_weight) + block * COLUMNS * num_k;
    const int32_t *offset = (layer ? layer->offset : network->output_offset) + block * COLUMNS;
    i32x16 all = {0};
    for (int32_t first = 0; first < products->step.num_rows; first += MAX_TILE) {
        int32_t left = products->step.num_rows - first, num_rows = left < MAX_TILE ? left : MAX_TILE;
        const uint8_t *inputs[MAX_TILE];
        for (int row = 0; row < num_rows; row++) inputs[row] = products->step.rows[first + row].slot;
        Sums sums;
        start_sums(num_rows, sums, offset);
        add_product(num_rows, sums, inputs, num_k, weight);
        for (int row = 0; row < num_rows; row++)
            for (int part = 0; part < PARTS; part++) all ^= sums[row][part];
    }
    __atomic_fetch_xor(&products->sink, __builtin_reduce_xor(all), __ATOMIC_RELAXED);
}

int32_t step_products(Workspace *workspace, Sequence **sequences, int32_t num_sequences, int32_t num_steps) {
    Products products = {.step = {.network = workspace->network, .rows = workspace->rows}};
    products.step.num_rows = gather_rows(workspace, sequences, num_sequences);
    for (int32_t i = 0; i < num_steps; i++) {
        for (int32_t index = 0; index < workspace->network->num_layers; index++) {
            products.step.layer = &workspace->network->layers[index];
            for_each(workspace->threads, products.step.num_rows, products.step.layer->num_blocks, products_block,
                     &products);
        }
        products.step.layer = NULL;
        for_each(workspace->threads, products.step.num_rows, workspace->network->num_vocab_blocks, products_block,
                 &products);
    }
    return products.sink;
}

// Compute rows of the first layer's table, [num_tokens][num_columns], of embeddings [num_tokens][size], with weights
// [num_columns / 64][size][64] and biases [num_columns]. Threads may share the tokens out in any way.
void step_table(_Float16 *table, const float *embedding, int64_t num_tokens, int64_t size, const float *weight,
                   const float *bias, int64_t num_columns) {
    for (int64_t column = 0; column < num_columns; column += COLUMNS)
        block_of_table(table + column, num_columns, embedding, num_tokens, size, weight + column * size, bias + column);
}

Threads *step_start_threads(int32_t num_threads) { return start_threads(num_threads); }
void step_stop_threads(Threads *threads) { stop_threads(threads); }
double step_uniform(uint64_t seed, int64_t position) { return uniform_at(seed, position); }

// Sizes of the structures that Python fills, so that a library built from other sources is refused before it is used.
int64_t native_layout(void) {
    int64_t sizes[] = {sizeof(Sequence), sizeof(Sampler), sizeof(Workspace), sizeof(Network), sizeof(Layer)}, all = 0;
    for (int i = 0; i < 5; i++) all = all * 1000 + sizes[i];
    return all;
}
