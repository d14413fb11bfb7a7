// One step of time of a quantised recurrent stack, and the logits of the rows that need them.
//
// A slot is a sequence's whole memory: for each layer its hidden state twice (8 bits, zero point 128; the one of the last
// step and the one of this step) and, for LSTM and GRU, one float a unit that is carried over. All offsets are bytes.
#ifndef REFRAIN_NETWORK_H
#define REFRAIN_NETWORK_H

#include "product.h"
#include "threads.h"

enum { ELMAN = 0, GRU = 1, LSTM = 2 };

typedef struct {
    int32_t kind;
    int32_t num_blocks;     // blocks of 64 columns: 16 units times four gates, or 64 units of an Elman layer
    int64_t input_size;     // elements read from the layer below; 0 in the first layer, which has a table
    int64_t hidden_size;    // units, padded to whole blocks
    const _Float16 *table;  // first layer: [V][num_blocks][64], the input's share of every gate with its bias
    const float *bias;      // other layers: [num_blocks][64]
    const int8_t *weight;   // packed: the input's rows, then the hidden state's
    const int32_t *offset;  // [num_blocks][64]: takes the zero point back
    const float *scale;     // [num_blocks][64]
    int64_t hidden_at[2], carry_at;  // where in a slot
} Layer;

typedef struct {
    int32_t num_layers, vocab_size, num_vocab_blocks, unused;
    const Layer *layers;
    const int8_t *output_weight;
    const int32_t *output_offset;
    const float *output_scale, *output_bias;  // the bias of padding is -infinity
    int64_t slot_bytes;
} Network;

// A row of a step: a slot, which of its two hidden states is the last one, and the token it reads.
typedef struct {
    uint8_t *slot;
    int32_t parity, token;
} Row;

// What a block of 64 logits adds up to: its largest, and the sum of exp(logit - largest), at temperature 1 and at the
// row's own.
typedef struct {
    float largest, sum, tempered;
} BlockSum;

// Those of all blocks of a row, each in an array padded to whole vectors with (-infinity, 0, 0).
typedef struct {
    float *largest, *sum, *tempered;
} BlockSums;

INLINE int64_t padded(int64_t num_blocks) { return (num_blocks + 15) / 16 * 16; }

INLINE BlockSums sums_of_row(float *memory, int64_t row, int64_t num_blocks) {
    int64_t size = padded(num_blocks);
    float *from = memory + 3 * row * size;
    return (BlockSums){from, from + size, from + 2 * size};
}

INLINE BlockSum get_sum(BlockSums sums, int64_t block) {
    return (BlockSum){sums.largest[block], sums.sum[block], sums.tempered[block]};
}

INLINE void put_sum(BlockSums sums, int64_t block, BlockSum sum) {
    sums.largest[block] = sum.largest;
    sums.sum[block] = sum.sum;
    sums.tempered[block] = sum.tempered;
}

INLINE void store_hidden(uint8_t *to, f32x16 hidden) {
    i32x16 rounded = __builtin_convertvector(fma16(hidden, splat(127.0f), splat(128.5f)), i32x16);
    typedef uint8_t u8x16 __attribute__((vector_size(16), aligned(1)));
    *(u8x16 *)to = __builtin_convertvector(rounded, u8x16);
}

INLINE f32x16 bounded(f32x16 x) { return min16(max16(x, splat(-30.0f)), splat(30.0f)); }
INLINE f32x16 sigmoid16(f32x16 x) { return 1.0f / (1.0f + exp_inside16(-bounded(x))); }
INLINE f32x16 tanh16(f32x16 x) { return 2.0f / (1.0f + exp_inside16(-2.0f * bounded(x))) - 1.0f; }

// c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c'); two quotients share a division each.
INLINE void lstm_units(const f32x16 *gates, float *carry, uint8_t *hidden) {
    f32x16 i = exp_inside16(-bounded(gates[0])), g = exp_inside16(-2.0f * bounded(gates[2]));
    f32x16 memory = fma16(sigmoid16(gates[1]), load16(carry), (1.0f - g) / ((1.0f + i) * (1.0f + g)));
    f32x16 o = exp_inside16(-bounded(gates[3])), c = exp_inside16(-2.0f * bounded(memory));
    store16(carry, memory);
    store_hidden(hidden, (1.0f - c) / ((1.0f + o) * (1.0f + c)));
}

// n = tanh(n_x + sigmoid(r) n_h); h' = n + sigmoid(z) (h - n).
INLINE void gru_units(const f32x16 *gates, float *carry, uint8_t *hidden) {
    f32x16 candidate = tanh16(fma16(sigmoid16(gates[0]), gates[3], gates[2]));
    f32x16 next = fma16(sigmoid16(gates[1]), load16(carry) - candidate, candidate);
    store16(carry, next);
    store_hidden(hidden, next);
}

// A requested row of logits: after which hidden state, and at which temperature it is summed up.
typedef struct {
    const uint8_t *hidden;
    float inverse_temperature;
    int32_t unused;
} LogitRow;

typedef struct {
    const Network *network;
    const Layer *layer, *below;
    const Row *rows;
    const LogitRow *logit_rows;
    int32_t num_rows;           // of one or the other
    float *logits;              // [num_rows][num_vocab_blocks * 64]
    float *block_sums;          // [num_rows][3][padded num_vocab_blocks]
} Step;

#define AHEAD 2  // blocks between asking for a token's share and its use: the table is larger than the caches

INLINE void prefetch_share(const Layer *layer, int32_t token, int32_t block) {
    const _Float16 *share = layer->table + ((int64_t)token * layer->num_blocks + block) * COLUMNS;
    __builtin_prefetch(share);
    __builtin_prefetch(share + COLUMNS / 2);
}

static void step_block(void *context, int32_t block, int32_t thread) {
    (void)thread;
    const Step *step = context;
    const Layer *layer = step->layer, *below = step->below;
    int64_t num_k = layer->input_size + layer->hidden_size;
    const int8_t *weight = layer->weight + block * COLUMNS * num_k;
    const float *scale = layer->scale + block * COLUMNS;
    int64_t num_units = layer->kind == ELMAN ? COLUMNS : 16;
    for (int32_t first = 0; first < step->num_rows; first += MAX_TILE) {
        int32_t num_rows = step->num_rows - first < MAX_TILE ? step->num_rows - first : MAX_TILE;
        const Row *rows = step->rows + first;
        const uint8_t *inputs[MAX_TILE], *hiddens[MAX_TILE];
        for (int row = 0; row < num_rows; row++) {
            hiddens[row] = rows[row].slot + layer->hidden_at[rows[row].parity];
            if (layer->table) prefetch_share(layer, rows[row].token, block + AHEAD);
            if (below) inputs[row] = rows[row].slot + below->hidden_at[!rows[row].parity];
        }
        Sums sums;
        start_sums(num_rows, sums, layer->offset + block * COLUMNS);
        if (below) add_product(num_rows, sums, inputs, layer->input_size, weight);
        add_product(num_rows, sums, hiddens, layer->hidden_size, weight + layer->input_size * COLUMNS);
        for (int row = 0; row < num_rows; row++) {
            f32x16 gates[PARTS];
            for (int part = 0; part < PARTS; part++) {
                int64_t column = (int64_t)block * COLUMNS + 16 * part;
                f32x16 share = layer->table
                    ? from_half(layer->table + (int64_t)rows[row].token * layer->num_blocks * COLUMNS + column)
                    : load16(layer->bias + column);
                gates[part] = scaled(sums[row][part], scale + 16 * part, share);
            }
            uint8_t *hidden = rows[row].slot + layer->hidden_at[!rows[row].parity] + block * num_units;
            float *carry = (float *)(rows[row].slot + layer->carry_at) + block * num_units;
            switch (layer->kind) {
                case LSTM: lstm_units(gates, carry, hidden); break;
                case GRU: gru_units(gates, carry, hidden); break;
                default:
                    for (int part = 0; part < PARTS; part++) store_hidden(hidden + 16 * part, tanh16(gates[part]));
            }
        }
    }
}

INLINE f32x16 at_temperature(f32x16 below_largest, float inverse_temperature) {
    return exp16(below_largest * inverse_temperature);
}

INLINE float exp_sum(const float *logits, float largest, float inverse_temperature) {
    f32x16 weights[PARTS];
#pragma clang loop unroll(full)
    for (int part = 0; part < PARTS; part++)
        weights[part] = at_temperature(load16(logits + 16 * part) - largest, inverse_temperature);
    return sum_of((weights[0] + weights[1]) + (weights[2] + weights[3]));
}

// Sum up a block of logits; without an inverse temperature (0) the tempered sum is left out.
INLINE BlockSum sum_block(const float *logits, float inverse_temperature) {
    f32x16 left = max16(load16(logits), load16(logits + 16)), right = max16(load16(logits + 32), load16(logits + 48));
    BlockSum found = {max_of(max16(left, right)), 0, 0};
    if (found.largest == -INFINITY) return found;
    found.sum = exp_sum(logits, found.largest, 1);
    if (inverse_temperature == 1) found.tempered = found.sum;
    else if (inverse_temperature > 0) found.tempered = exp_sum(logits, found.largest, inverse_temperature);
    return found;
}

static void logits_block(void *context, int32_t block, int32_t thread) {
    (void)thread;
    const Step *step = context;
    const Network *network = step->network;
    const Layer *last = &network->layers[network->num_layers - 1];
    const int8_t *weight = network->output_weight + (int64_t)block * COLUMNS * last->hidden_size;
    int64_t width = (int64_t)network->num_vocab_blocks * COLUMNS;
    for (int32_t first = 0; first < step->num_rows; first += MAX_TILE) {
        int32_t num_rows = step->num_rows - first < MAX_TILE ? step->num_rows - first : MAX_TILE;
        const uint8_t *inputs[MAX_TILE];
        for (int row = 0; row < num_rows; row++) inputs[row] = step->logit_rows[first + row].hidden;
        Sums sums;
        start_sums(num_rows, sums, network->output_offset + block * COLUMNS);
        add_product(num_rows, sums, inputs, last->hidden_size, weight);
        for (int row = 0; row < num_rows; row++) {
            float *logits = step->logits + (first + row) * width + block * COLUMNS;
            for (int part = 0; part < PARTS; part++) {
                int64_t column = (int64_t)block * COLUMNS + 16 * part;
                f32x16 bias = load16(network->output_bias + column);
                store16(logits + 16 * part, scaled(sums[row][part], network->output_scale + column, bias));
            }
            put_sum(sums_of_row(step->block_sums, first + row, network->num_vocab_blocks), block,
                    sum_block(logits, step->logit_rows[first + row].inverse_temperature));
        }
    }
}

#endif
