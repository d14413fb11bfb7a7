"""A student takes its teacher's tokenizer, learns from it, and resumes with its teacher's memory."""

import pytest
import torch

from refrain.models.checkpoint import load_checkpoint
from refrain.training.data.corpus import TextCorpus
from refrain.training.errors import RecipeError
from refrain.training.run.train import train


def quiet(_: str) -> None:
    """Do nothing."""


@pytest.fixture
def teacher(tmp_path, small_recipe, small_corpus):
    return train(small_recipe("budget.epochs=6"), small_corpus, tmp_path / "teacher", log=quiet)


def test_a_student_predicts_what_its_teacher_predicts(
    tmp_path, teacher, small_recipe, small_corpus
) -> None:
    def far_from_teacher(*overrides: str) -> float:
        student = train(
            small_recipe("model.num_layers=1", "budget.epochs=8", *overrides),
            small_corpus,
            tmp_path / str(len(overrides)),
            log=quiet,
        )
        one, other = (load_checkpoint(folder) for folder in (student, teacher))
        assert one.tokenizer.vocab_size == other.tokenizer.vocab_size
        tokens = torch.tensor([one.tokenizer.encode("the dog sat on a cat.").ids])
        with torch.no_grad():
            logits = [each.model(tokens, each.model.zero_state(1))[0] for each in (one, other)]
        log_probs = [each[0].log_softmax(1) for each in logits]
        return float((log_probs[1].exp() * (log_probs[1] - log_probs[0])).sum(1).mean())

    taught = far_from_teacher(f"distillation.teacher={teacher}", "distillation.weight=1.0")
    assert taught < 0.5 * far_from_teacher()


@pytest.mark.parametrize("stop_at", [5, 11])
def test_a_student_resumes_with_its_teachers_memory(
    tmp_path, killed_after, teacher, small_recipe, small_corpus, stop_at
) -> None:
    corpus = TextCorpus(small_corpus.documents, unit="stream")
    settings = small_recipe(f"distillation.teacher={teacher}", "model.output_dropout=0.2")
    whole = load_checkpoint(train(settings, corpus, tmp_path / "whole", log=quiet))

    with killed_after(stop_at) as killer:
        train(settings, corpus, tmp_path / "cut", log=quiet, listeners=[killer])
    cut = load_checkpoint(train(settings, corpus, tmp_path / "cut", resume=True, log=quiet))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name


def test_a_teacher_must_be_a_recurrent_language_model(tmp_path, small_recipe, small_corpus) -> None:
    ngram = small_recipe("task=ngram", "model={order=3}")
    folder = train(ngram, small_corpus, tmp_path / "ngram", log=quiet)
    with pytest.raises(RecipeError, match=r"distillation\.teacher: .* is a ngram"):
        train(
            small_recipe(f"distillation.teacher={folder}"), small_corpus, tmp_path / "a", log=quiet
        )
    with pytest.raises(RecipeError, match="num_sampled"):
        small_recipe("distillation.teacher=x", "optimizer.num_sampled=10")
