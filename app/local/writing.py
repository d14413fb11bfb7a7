"""Texts to be written in one's own process, as `POST /generate` has them: options, and questions for a desk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from app.engine.beam_search import BeamParams, BeamSearch
from app.engine.desk import Question
from app.engine.sequence import Hypothesis, Searched, TextState, Written
from app.engine.sequence import Sequence as EngineSequence
from app.services.choice import Choice
from app.services.encoding import cut_blanks, require_something_to_read, without_unknown
from app.services.generation import check_search, seed_of
from app.services.written_text import WrittenText
from models.native.sequence import SamplingParams
from models.native.structures import Purpose
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class WritingOptions:
    """What is wanted of each text.

    Attributes
    ----------
    sampling
        How to choose tokens; its seed is that of the first text of a prompt, as the service has it.
    n
        Texts for each prompt.
    stops
        Strings that end a text; they are no part of it.
    beams
        To search for the likeliest texts instead of drawing them.
    state
        What the prompt goes on from.
    on_text
        Called with each piece of a text as it is written; for one prompt and one text.
    """

    sampling: SamplingParams
    n: int = 1
    stops: Sequence[str] = ()
    beams: BeamParams | None = None
    state: TextState | None = None
    on_text: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Writing:
    """What was written after one prompt, and tokens read and written for it."""

    choices: list[Choice]
    num_prompt: int
    num_written: int


class Writer:
    """One prompt, ready to be gone on with."""

    def __init__(self, tokenizer: Tokenizer, prompt: str, options: WritingOptions) -> None:
        self._tokenizer = tokenizer
        self._options = options
        text, self._drops_space = cut_blanks(tokenizer, prompt)
        self._ids = tokenizer.encode(text).ids
        require_something_to_read(options.state, self._ids, "prompt")

    def write(self, index: int) -> Question[Writing]:
        """Write the text of this index, whose seed follows from it."""
        options = self._options
        sequence = EngineSequence.make(
            Purpose.GENERATE,
            self._tokenizer.eos_id,
            self._ids,
            vocab_size=self._tokenizer.vocab_size,
            params=replace(self._sampling(), seed=seed_of(options.sampling.seed, index)),
            start=options.state,
            is_eager=bool(options.stops) or options.on_text is not None,
        )
        text, said, reason = self._text(), "", None
        while reason is None:
            written = yield sequence
            assert isinstance(written, Written)
            piece, reason = text.take(written)
            said += piece
            if options.on_text and piece:
                options.on_text(piece)
        choice = Choice(index, said, reason, [], None, text.mean_logprob)
        return Writing([choice], len(self._ids), len(text.token_ids))

    def search(self) -> Question[Writing]:
        """Find the likeliest texts."""
        assert self._options.beams is not None
        searched = yield BeamSearch.begin(
            self._options.beams,
            self._tokenizer.eos_id,
            self._ids,
            vocab_size=self._tokenizer.vocab_size,
            params=self._sampling(),
            start=self._options.state,
        )
        assert isinstance(searched, Searched)
        found = [(self._text(), each) for each in searched.hypotheses[: self._options.n]]
        choices = [_choice(index, text, each) for index, (text, each) in enumerate(found)]
        return Writing(choices, len(self._ids), sum(len(text.token_ids) for text, _ in found))

    def _sampling(self) -> SamplingParams:
        """Never write `<unk>`."""
        sampling = self._options.sampling
        return replace(sampling, logit_bias=without_unknown(self._tokenizer, sampling.logit_bias))

    def _text(self) -> WrittenText:
        return WrittenText(
            self._tokenizer,
            self._options.stops,
            follows_text=bool(self._ids) or self._options.state is not None,
            drops_space=self._drops_space,
        )


def writing_questions(
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    options: WritingOptions,
    seeds: Iterable[int] | None,
) -> Iterator[Question[Writing]]:
    """Give the questions of each prompt: a search, or n texts one after another.

    Raises
    ------
    InvalidParameterError
        For a search that cannot find what is asked for.
    """
    check_search(options.beams, options.n, options.sampling)
    seeds = repeat(options.sampling.seed) if seeds is None else seeds
    for prompt, seed in zip(prompts, seeds, strict=False):
        sampling = replace(options.sampling, seed=seed)
        writer = Writer(tokenizer, prompt, replace(options, sampling=sampling))
        if options.beams:
            yield writer.search()
        else:
            yield from (writer.write(index) for index in range(options.n))


def joined(writings: Iterable[Writing], options: WritingOptions) -> Iterator[Writing]:
    """Put the texts of each prompt together again."""
    if options.beams:
        yield from writings
        return
    found: list[Writing] = []
    for writing in writings:
        found.append(writing)
        if len(found) == options.n:
            choices = [choice for each in found for choice in each.choices]
            yield Writing(choices, writing.num_prompt, sum(each.num_written for each in found))
            found = []


def _choice(index: int, text: WrittenText, found: Hypothesis) -> Choice:
    written = Written(found.token_ids, found.logprobs, found.top, found.finish_reason)
    said, reason = text.take(written)
    assert reason is not None
    return Choice(index, said, reason, [], None, text.mean_logprob)
