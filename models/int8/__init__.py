"""The integer form of a language model: 8-bit weights and hidden states, exact under any batch.

Hidden states of LSTM, GRU and tanh networks lie in [-1, 1], so they take 8 bits with the constant scale 1/127 and no
calibration. Sums of 8-bit products in 32 bits are exact, so that a row's numbers depend on that row alone.
"""

from refrain.models.int8.language_model import Int8LanguageModel, has_int8_form
from refrain.models.int8.slot_layout import ZERO_POINT

__all__ = ["ZERO_POINT", "Int8LanguageModel", "has_int8_form"]
