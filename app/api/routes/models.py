"""`GET /models`, `GET /models/{name}` and `GET /models/{name}/learning-curve`."""

from __future__ import annotations

from fastapi import APIRouter
from torch import nn

from refrain.app.api.http.router import REFUSALS
from refrain.app.api.schemas.models import (
    LearningCurveAnswer,
    MetricAnswer,
    ModelAnswer,
    ModelsAnswer,
    TrainingPointAnswer,
    ValidationPointAnswer,
)
from refrain.app.services.registry import Loaded, Registry
from refrain.models.checkpoint import source_of
from refrain.models.config import config_to_dict
from refrain.models.learning_curve import LearningCurve, LearningCurves


def make_router(registry: Registry) -> APIRouter:
    """Route to a registry."""
    router = APIRouter(tags=["models"])
    curves = LearningCurves()

    @router.get("/models")
    async def list_models() -> ModelsAnswer:
        """List what is loaded: task, cell, sizes, training data, measured quality, licence."""
        return ModelsAnswer(models=[_answer(model) for model in registry.models.values()])

    @router.get("/models/{name}", responses={404: REFUSALS[404]})
    async def show_model(name: str) -> ModelAnswer:
        """Show one model."""
        return _answer(registry.models[name])

    @router.get("/models/{name}/learning-curve", responses={404: REFUSALS[404]})
    def show_learning_curve(name: str) -> LearningCurveAnswer:
        """Show how a model learned: loss and validation by step, in at most some hundred points each."""
        directory = registry.models[name].checkpoint.directory
        curve = curves.of(directory) if directory else LearningCurve([], [])
        return LearningCurveAnswer(
            model=name,
            training=[TrainingPointAnswer(**vars(point)) for point in curve.training],
            validation=[ValidationPointAnswer(**vars(point)) for point in curve.validation],
        )

    return router


def _answer(loaded: Loaded) -> ModelAnswer:
    checkpoint = loaded.checkpoint
    model, card = checkpoint.model, checkpoint.card
    num_parameters = None
    if isinstance(model, nn.Module):
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return ModelAnswer(
        name=loaded.name,
        source=source_of(checkpoint.directory),
        task=checkpoint.task,
        language=card.language,
        description=card.description,
        tokenizer=checkpoint.tokenizer.kind,
        vocab_size=checkpoint.tokenizer.vocab_size,
        num_parameters=num_parameters,
        precision=loaded.precision,
        config=config_to_dict(checkpoint.config),
        training_data=card.dataset,
        training=card.training,
        license=card.license,
        quality=[MetricAnswer(**vars(metric)) for metric in card.metrics],
    )
