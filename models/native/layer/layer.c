// What training spends its time on and a library of matrix products does not cover: a recurrent layer over time,
// forwards and backwards, and the softmax of a large vocabulary with its gradient. Products in bfloat16 summed in
// float32, gates in float32.
//
// Rows are independent, and ranges of them run side by side. Only the sum over rows of a softmax's errors depends, in
// its last bits, on how many ranges there are.
// Shapes: B rows, T times, H width of the layer, G gates. Tensors are [B, T, ...] in C order.
#include <stdlib.h>

#include "../processor.h"
#include "bf16_product.h"
#include "team.h"

#define EXPORT __attribute__((visibility("default")))

enum { LSTM, GRU, ELMAN_TANH, ELMAN_RELU, ELMAN_SIGMOID };

typedef struct {
    int64_t kind, times, hidden, gates;
    const bf16 *input_products;  // [B, T, G H]
    const float *input_bias;     // [G H]
    const float *hidden_bias;    // [G H]
    const bf16 *packed;          // the hidden matrix: forwards [H, G H], backwards [G H, H]
    bf16 *outputs;               // [B, T + 1, H]; the first is the state before
    float *memory;               // [B, T + 1, H]: an LSTM's cell, a GRU's output in float32; else NULL
    bf16 *kept;                  // [B, T, K H]: gates after their nonlinearity; K is 4 for LSTM and GRU, else 0
    const bf16 *output_grads;    // [B, T, H]
    float *hidden_grad;          // [B, H]: of the state after; becomes that of the state before
    float *memory_grad;          // [B, H]: likewise, of an LSTM's cell
    bf16 *input_grads;           // [B, T, G H]: of the input products
    bf16 *product_grads;         // [B, T, G H]: of the hidden products; but for a GRU the same as input_grads
} Layer;

// NaN propagates.
INLINE f32x16 sigmoid16(f32x16 x) {
    f32x16 value = 1.0f / (1.0f + exp_inside16(max16(min16(-x, splat(87)), splat(-87))));
    return select16(x == x, value, x);
}
INLINE f32x16 tanh16(f32x16 x) { return 2.0f * sigmoid16(2.0f * x) - 1.0f; }

// Each step below works on 16 units of one row. `products` are the hidden ones; `gate` steps over gates.

INLINE void lstm_forward(const Layer *layer, const bf16 *x, const float *products, int64_t unit, float *memory,
                         bf16 *kept, bf16 *output) {
    int64_t H = layer->hidden;
    f32x16 sums[4];
    for (int gate = 0; gate < 4; gate++) {
        int64_t at = gate * H + unit;
        sums[gate] = from_bf16(x + at) + load16(products + at) + load16(layer->input_bias + at) +
                     load16(layer->hidden_bias + at);
    }
    f32x16 i = sigmoid16(sums[0]), f = sigmoid16(sums[1]), g = tanh16(sums[2]), o = sigmoid16(sums[3]);
    f32x16 cell = fma16(f, load16(memory + unit), i * g);
    store16(memory + H + unit, cell);
    to_bf16(kept + unit, i);
    to_bf16(kept + H + unit, f);
    to_bf16(kept + 2 * H + unit, g);
    to_bf16(kept + 3 * H + unit, o);
    to_bf16(output + H + unit, o * tanh16(cell));
}

INLINE void gru_forward(const Layer *layer, const bf16 *x, const float *products, int64_t unit, float *memory,
                        bf16 *kept, bf16 *output) {
    int64_t H = layer->hidden, n_at = 2 * H + unit;
    f32x16 sums[2];
    for (int gate = 0; gate < 2; gate++) {
        int64_t at = gate * H + unit;
        sums[gate] = from_bf16(x + at) + load16(products + at) + load16(layer->input_bias + at) +
                     load16(layer->hidden_bias + at);
    }
    f32x16 r = sigmoid16(sums[0]), z = sigmoid16(sums[1]);
    f32x16 inner = load16(products + n_at) + load16(layer->hidden_bias + n_at);
    f32x16 n = tanh16(fma16(r, inner, from_bf16(x + n_at) + load16(layer->input_bias + n_at)));
    f32x16 next = fma16(z, load16(memory + unit) - n, n);
    store16(memory + H + unit, next);
    to_bf16(kept + unit, r);
    to_bf16(kept + H + unit, z);
    to_bf16(kept + 2 * H + unit, n);
    to_bf16(kept + 3 * H + unit, inner);
    to_bf16(output + H + unit, next);
}

INLINE void elman_forward(const Layer *layer, const bf16 *x, const float *products, int64_t unit, bf16 *output) {
    f32x16 sum = from_bf16(x + unit) + load16(products + unit) + load16(layer->input_bias + unit) +
                 load16(layer->hidden_bias + unit);
    switch (layer->kind) {
        case ELMAN_TANH: sum = tanh16(sum); break;
        case ELMAN_RELU: sum = max16(splat(0), sum); break;
        default: sum = sigmoid16(sum); break;
    }
    to_bf16(output + layer->hidden + unit, sum);
}

static void gates_forward(const Layer *layer, int64_t row, int64_t time, const float *products) {
    int64_t H = layer->hidden, index = row * layer->times + time, after = index + row;
    const bf16 *x = layer->input_products + index * layer->gates * H;
    bf16 *output = layer->outputs + after * H;
    float *memory = layer->memory ? layer->memory + after * H : NULL;
    bf16 *kept = layer->kept ? layer->kept + index * 4 * H : NULL;
    for (int64_t unit = 0; unit < H; unit += 16) {
        switch (layer->kind) {
            case LSTM: lstm_forward(layer, x, products, unit, memory, kept, output); break;
            case GRU: gru_forward(layer, x, products, unit, memory, kept, output); break;
            default: elman_forward(layer, x, products, unit, output); break;
        }
    }
}

INLINE void lstm_backward(const Layer *layer, int64_t unit, f32x16 grad, const float *memory, const bf16 *kept,
                          float *memory_grad, bf16 *input_grads) {
    int64_t H = layer->hidden;
    f32x16 i = from_bf16(kept + unit), f = from_bf16(kept + H + unit);
    f32x16 g = from_bf16(kept + 2 * H + unit), o = from_bf16(kept + 3 * H + unit);
    f32x16 squashed = tanh16(load16(memory + H + unit));
    f32x16 cell_grad = fma16(grad * o, 1.0f - squashed * squashed, load16(memory_grad + unit));
    to_bf16(input_grads + unit, cell_grad * g * i * (1.0f - i));
    to_bf16(input_grads + H + unit, cell_grad * load16(memory + unit) * f * (1.0f - f));
    to_bf16(input_grads + 2 * H + unit, cell_grad * i * (1.0f - g * g));
    to_bf16(input_grads + 3 * H + unit, grad * squashed * o * (1.0f - o));
    store16(memory_grad + unit, cell_grad * f);
}

// Leaves in `direct_grad` what reaches the state before without passing the hidden matrix.
INLINE void gru_backward(const Layer *layer, int64_t unit, f32x16 grad, const float *memory, const bf16 *kept,
                         float *direct_grad, bf16 *input_grads, bf16 *product_grads) {
    int64_t H = layer->hidden;
    f32x16 r = from_bf16(kept + unit), z = from_bf16(kept + H + unit);
    f32x16 n = from_bf16(kept + 2 * H + unit), inner = from_bf16(kept + 3 * H + unit);
    f32x16 n_grad = grad * (1.0f - z) * (1.0f - n * n);
    f32x16 r_grad = n_grad * inner * r * (1.0f - r);
    f32x16 z_grad = grad * (load16(memory + unit) - n) * z * (1.0f - z);
    to_bf16(input_grads + unit, r_grad);
    to_bf16(product_grads + unit, r_grad);
    to_bf16(input_grads + H + unit, z_grad);
    to_bf16(product_grads + H + unit, z_grad);
    to_bf16(input_grads + 2 * H + unit, n_grad);
    to_bf16(product_grads + 2 * H + unit, n_grad * r);
    store16(direct_grad + unit, grad * z);
}

INLINE void elman_backward(const Layer *layer, int64_t unit, f32x16 grad, const bf16 *output, bf16 *input_grads) {
    f32x16 y = from_bf16(output + layer->hidden + unit);
    switch (layer->kind) {
        case ELMAN_TANH: grad *= 1.0f - y * y; break;
        case ELMAN_RELU: grad = select16(y > 0, grad, splat(0)); break;
        default: grad *= y * (1.0f - y); break;
    }
    to_bf16(input_grads + unit, grad);
}

static void gates_backward(const Layer *layer, int64_t row, int64_t time, float *direct_grad) {
    int64_t H = layer->hidden, index = row * layer->times + time, after = index + row;
    const float *hidden_grad = layer->hidden_grad + row * H;
    const bf16 *output_grad = layer->output_grads + index * H;
    const float *memory = layer->memory ? layer->memory + after * H : NULL;
    const bf16 *kept = layer->kept ? layer->kept + index * 4 * H : NULL;
    bf16 *input_grads = layer->input_grads + index * layer->gates * H;
    for (int64_t unit = 0; unit < H; unit += 16) {
        f32x16 grad = load16(hidden_grad + unit) + from_bf16(output_grad + unit);
        switch (layer->kind) {
            case LSTM:
                lstm_backward(layer, unit, grad, memory, kept, layer->memory_grad + row * H, input_grads);
                break;
            case GRU:
                gru_backward(layer, unit, grad, memory, kept, direct_grad, input_grads,
                             layer->product_grads + index * layer->gates * H);
                break;
            default: elman_backward(layer, unit, grad, layer->outputs + after * H, input_grads); break;
        }
    }
}

// Run rows over all times. Returns 0, or -1 where there is no memory for its scratch.
static int forward_rows(const void *context, int64_t first, int64_t last, int64_t part) {
    (void)part;
    const Layer *layer = context;
    int64_t H = layer->hidden, columns = layer->gates * H, stride = padded(columns);
    int64_t num_rows = last - first, row_stride = (layer->times + 1) * H;
    float *products = aligned_alloc(64, (size_t)(num_rows * stride) * sizeof(float));
    if (!products) return -1;
    for (int64_t time = 0; time < layer->times; time++) {
        const bf16 *before = layer->outputs + first * row_stride + time * H;
        product(products, before, row_stride, num_rows, H, layer->packed, columns);
        for (int64_t row = 0; row < num_rows; row++)
            gates_forward(layer, first + row, time, products + row * stride);
    }
    free(products);
    return 0;
}

// The gradients of the same rows, from the last time to the first.
static int backward_rows(const void *context, int64_t first, int64_t last, int64_t part) {
    (void)part;
    const Layer *layer = context;
    int64_t H = layer->hidden, num_k = layer->gates * H, stride = padded(H);
    int64_t num_rows = last - first, row_stride = layer->times * num_k;
    float *products = aligned_alloc(64, (size_t)(num_rows * stride) * sizeof(float));
    float *direct = aligned_alloc(64, (size_t)(num_rows * H) * sizeof(float));
    if (!products || !direct) {
        free(products);
        free(direct);
        return -1;
    }
    memset(direct, 0, (size_t)(num_rows * H) * sizeof(float));
    for (int64_t time = layer->times - 1; time >= 0; time--) {
        for (int64_t row = 0; row < num_rows; row++)
            gates_backward(layer, first + row, time, direct + row * H);
        const bf16 *grads = layer->product_grads + first * row_stride + time * num_k;
        product(products, grads, row_stride, num_rows, num_k, layer->packed, H);
        for (int64_t row = 0; row < num_rows; row++) {
            float *hidden_grad = layer->hidden_grad + (first + row) * H;
            for (int64_t unit = 0; unit < H; unit += 16)
                store16(hidden_grad + unit,
                        load16(products + row * stride + unit) + load16(direct + row * H + unit));
        }
    }
    free(products);
    free(direct);
    return 0;
}

EXPORT int layer_forward(const Layer *layer, int64_t num_rows, int64_t num_threads) {
    return share_rows(forward_rows, layer, num_rows, num_threads);
}

EXPORT int layer_backward(const Layer *layer, int64_t num_rows, int64_t num_threads) {
    return share_rows(backward_rows, layer, num_rows, num_threads);
}

// Pack a matrix [rows, columns] to be multiplied with from the left, as it is or transposed.
EXPORT void pack_matrix(bf16 *packed, const bf16 *w, int64_t rows, int64_t columns, int64_t is_transposed) {
    if (is_transposed) pack(packed, w, columns, rows, 1, columns);
    else pack(packed, w, rows, columns, columns, 1);
}

typedef struct {
    int64_t vocabulary;
    bf16 *scores;            // [R, V]: become softmax(scores + bias) less one at the target
    const float *bias;       // [V]
    const int64_t *targets;  // [R]
    float *losses;           // [R], in nats
    float *bias_grads;       // [threads, V]: to each row the sum of its part's errors is added
    float *apart;            // [R]: the targets' scores, where they stand beside the columns, and become their errors;
                             // then a column that is the target (none where it is negative) counts for nothing. Or NULL
} Softmax;

static int softmax_rows(const void *context, int64_t first, int64_t last, int64_t part) {
    const Softmax *softmax = context;
    int64_t V = softmax->vocabulary, whole = V / 16 * 16;
    const float *bias = softmax->bias;
    const int64_t *targets = softmax->targets;
    float *losses = softmax->losses, *apart = softmax->apart, *bias_grad = softmax->bias_grads + part * V;
    bf16 *scores = softmax->scores + first * V;
    float *line = aligned_alloc(64, (size_t)padded(V) * sizeof(float));
    if (!line) return -1;
    for (int64_t row = first; row < last; row++, scores += V) {
        f32x16 highest = splat(-INFINITY), nan_or_0 = splat(0);
        for (int64_t v = 0; v < whole; v += 16) {
            f32x16 score = from_bf16(scores + v) + load16(bias + v);
            store16(line + v, score);
            highest = max16(highest, score);
            nan_or_0 += score - score;  // NaN for NaN and infinity, else 0
        }
        float top = apart && apart[row] > max_of(highest) ? apart[row] : max_of(highest);
        for (int64_t v = whole; v < V; v++) {
            union { uint32_t bits; float value; } score = {(uint32_t)scores[v] << 16};
            line[v] = score.value + bias[v];
            if (line[v] > top) top = line[v];
        }
        float target_score = apart ? apart[row] : line[targets[row]];
        if (apart && targets[row] >= 0) line[targets[row]] = -INFINITY;
        f32x16 sums = splat(0);
        for (int64_t v = 0; v < whole; v += 16) {
            f32x16 power = exp16(load16(line + v) - top);
            store16(line + v, power);
            sums += power;
        }
        double total = sum_of(sums);
        for (int64_t v = whole; v < V; v++) total += line[v] = exp_of(line[v] - top);
        float target_power = exp_of(target_score - top);
        if (apart) total += target_power;
        losses[row] = (float)(log_of(total) + top - target_score) + sum_of(nan_or_0);
        float scale = (float)(1 / total);
        for (int64_t v = 0; v < V; v++) line[v] *= scale;
        if (apart) apart[row] = target_power * scale - 1;
        else line[targets[row]] -= 1;
        for (int64_t v = 0; v < whole; v += 16) {
            f32x16 error = load16(line + v);
            to_bf16(scores + v, error);
            store16(bias_grad + v, load16(bias_grad + v) + error);
        }
        for (int64_t v = whole; v < V; v++) {
            union { float value; uint32_t bits; } error = {line[v]};
            scores[v] = (bf16)((error.bits + 0x7fff + ((error.bits >> 16) & 1)) >> 16);
            bias_grad[v] += line[v];
        }
    }
    free(line);
    return 0;
}

EXPORT int softmax_errors(const Softmax *softmax, int64_t num_rows, int64_t num_threads) {
    return share_rows(softmax_rows, softmax, num_rows, num_threads);
}

// Set the OpenMP on which ranges of rows run; without one they run one after another.
EXPORT void use_openmp(OpenMp functions) { openmp = functions; }

// Sizes of the structures that Python fills, so that a library built from other sources is refused before it is used.
EXPORT int64_t native_layout(void) { return (sizeof(Layer) * 1000 + sizeof(Softmax)) * 1000 + sizeof(OpenMp); }
