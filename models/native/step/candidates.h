// A softmax among a few candidates: their columns of the output alone are computed, with the very numbers that a whole row
// would have.
#ifndef REFRAIN_CANDIDATES_H
#define REFRAIN_CANDIDATES_H

#include "sample.h"

// The logit of one token: the same integers, and the same rounding, as in a block.
static float logit_of(const Network *network, const uint8_t *hidden, int32_t token) {
    int64_t size = network->layers[network->num_layers - 1].hidden_size;
    const int8_t *column = network->output_weight + (token / COLUMNS) * size * COLUMNS + token % COLUMNS * 4;
    int32_t sum = network->output_offset[token];
    for (int64_t k = 0; k < size; k += 4, column += COLUMNS * 4)
        for (int part = 0; part < 4; part++) sum += hidden[k + part] * column[part];
    return __builtin_fmaf((float)sum, network->output_scale[token], network->output_bias[token]);
}

// Answer a prediction or a score among its candidates.
static void among_candidates(const Network *network, Sequence *sequence, const uint8_t *hidden, int32_t index) {
    for (int32_t i = 0; i < sequence->num_candidates; i++)
        sequence->log_probs[i] = logit_of(network, hidden, sequence->candidates[i]);
    float target = sequence->purpose == SCORE ? logit_of(network, hidden, sequence->tokens[index + 1]) : 0;
    answer_among(sequence, index, target);
    advance_score(sequence, index);
}

#endif
