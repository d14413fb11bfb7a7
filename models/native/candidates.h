// A softmax among a few candidates: their columns of the output alone are computed, with the very numbers that a whole row
// would have.
#ifndef REFRAIN_CANDIDATES_H
#define REFRAIN_CANDIDATES_H

#include "choose.h"

// The logit of one token: the same integers, and the same rounding, as in a block.
static float logit_of(const Network *network, const uint8_t *hidden, int32_t token) {
    int64_t size = network->layers[network->num_layers - 1].hidden_size;
    const int8_t *column = network->output_weight + (token / COLUMNS) * size * COLUMNS + token % COLUMNS * 4;
    int32_t sum = network->output_offset[token];
    for (int64_t k = 0; k < size; k += 4, column += COLUMNS * 4)
        for (int part = 0; part < 4; part++) sum += hidden[k + part] * column[part];
    return __builtin_fmaf((float)sum, network->output_scale[token], network->output_bias[token]);
}

// The logarithm of the sum of exp(logit) over candidates; `logits` [num_candidates] is written.
static double log_total_of_candidates(const Network *network, const Sequence *sequence, const uint8_t *hidden,
                                      float *logits) {
    float largest = -INFINITY;
    for (int32_t i = 0; i < sequence->num_candidates; i++) {
        logits[i] = logit_of(network, hidden, sequence->candidates[i]);
        largest = fmaxf(largest, logits[i]);
    }
    double total = 0;
    for (int32_t i = 0; i < sequence->num_candidates; i++) total += exp_of(logits[i] - largest);
    return largest + log_of(total);
}

// Answer a look with the log-probability of every candidate among them, or a score with that of its `place`-th target,
// which is one of them.
static void among_candidates(const Network *network, Sequence *sequence, const uint8_t *hidden, int32_t place) {
    double log_sum = log_total_of_candidates(network, sequence, hidden, sequence->log_probs);
    if (sequence->purpose == SCORE) {
        float logit = logit_of(network, hidden, sequence->tokens[place + 1]);
        sequence->logprobs[place] = (float)(logit - log_sum);
        move_on(sequence, place);
        return;
    }
    for (int32_t i = 0; i < sequence->num_candidates; i++)
        sequence->log_probs[i] = (float)(sequence->log_probs[i] - log_sum);
    sequence->status = ANSWERED;
}

#endif
