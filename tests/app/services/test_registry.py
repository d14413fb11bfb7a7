"""The loaded models, by name and by language."""

import pytest

from refrain.app.services.registry import LoadedClassifier, LoadedLanguageModel, Registry
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.errors import UnknownModelError, WrongTaskError
from tests.support.serving import serve


def test_a_model_is_found_by_name_or_by_the_language_of_the_text(checkpoints) -> None:
    async def body(serving) -> None:
        registry, caller = serving.registry, Caller()
        assert registry.find(LoadedLanguageModel, "tang", "The", caller).name == "tang"
        assert registry.find(LoadedLanguageModel, None, "The cat", caller).name == "english"
        assert registry.find(LoadedLanguageModel, None, "春", caller).name == "tang"
        assert registry.find(LoadedClassifier, None, "春", caller).name == "sentiment-zh"
        assert registry.find(LoadedClassifier, None, "春", caller, "en").name == "sentiment-en"
        assert registry.default_name == "english"
        assert caller.stats.models == ["english", "tang", "sentiment-zh", "sentiment-en"]

    serve(checkpoints, body)


def test_a_name_that_is_none_is_refused_with_those_that_are(checkpoints) -> None:
    async def body(serving) -> None:
        with pytest.raises(UnknownModelError, match="did you mean english"):
            serving.registry.models["englsh"]
        with pytest.raises(WrongTaskError, match="not sentiment-en; loaded: english, bytes"):
            serving.registry.find(LoadedLanguageModel, "sentiment-en", "", Caller())
        with pytest.raises(WrongTaskError, match="takes a language model, not sentiment-en"):
            serving.registry.find(LoadedLanguageModel, "sentiment-en", "", Caller())
        with pytest.raises(WrongTaskError, match="takes a classifier, not english"):
            serving.registry.find(LoadedClassifier, "english", "", Caller())
        with pytest.raises(UnknownModelError, match="no classifier is loaded"):
            Registry([], []).find(LoadedClassifier, None, "", Caller())

    serve(checkpoints, body)


def test_every_model_has_one_driver_that_lives_while_the_registry_does(checkpoints) -> None:
    async def body(serving) -> None:
        registry = serving.registry
        kinds = {name: type(each) for name, each in registry.models.items()}
        assert kinds["counts"] is LoadedLanguageModel
        assert kinds["sentiment-en"] is LoadedClassifier
        assert registry.models["counts"].precision == "fp32"
        assert registry.models["english"].precision == "int8"
        assert registry.is_ready
        await registry.stop()
        assert not registry.is_ready

    serve(checkpoints, body)
