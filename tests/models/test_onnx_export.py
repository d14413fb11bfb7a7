"""The exported graph is the model: the same logits step by step, for any number of rows and steps."""

import json
import math
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from refrain.cli.main import main
from refrain.models.card import Card
from refrain.models.checkpoint import Checkpoint, save_checkpoint
from refrain.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    NGramConfig,
    config_from_dict,
)
from refrain.models.errors import ExportError
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.onnx_export import export_onnx
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.evaluation.evaluate import cross_entropy

TOKENIZER = Tokenizer.train("characters", ["春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"])
CARD = Card(description="", language="zh", license="MIT", dataset="none")
MODELS = {
    "elman": {"num_layers": 1, "nonlinearity": "sigmoid"},
    "jordan": {"num_layers": 1, "tied": False},
    "gru": {"num_layers": 2, "tied": False},
    "lstm": {"num_layers": 2},
    "mogrifier": {"num_layers": 1, "mogrifier_rounds": 3, "mogrifier_rank": 2},
}


class Graph:
    """An exported model in ONNX Runtime, from a state of zeros."""

    def __init__(self, path) -> None:
        onnxruntime = pytest.importorskip("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options)
        self.metadata = self.session.get_modelmeta().custom_metadata_map
        self.inputs = {node.name: node.shape for node in self.session.get_inputs()}
        self.outputs = {node.name: node.shape for node in self.session.get_outputs()}

    def read(self, tokens_BT: np.ndarray) -> np.ndarray:
        """Read T tokens in each row: logits_BTV."""
        state = {
            name: np.zeros((shape[0], len(tokens_BT), shape[2]), np.float32)
            for name, shape in self.inputs.items()
            if name != "token_ids"
        }
        logits = []
        for tokens_B in tokens_BT.T:
            step, *after = self.session.run(None, {"token_ids": tokens_B, **state})
            state = dict(zip(state, after, strict=True))
            logits.append(step)
        return np.stack(logits, axis=1)


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """A model of each cell, and its graph."""
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=TOKENIZER.vocab_size,
        cell=request.param,
        embedding_size=6,
        hidden_size=9,
        **MODELS[request.param],
    )
    model = LanguageModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # larger than at the start of training, so that gates open and close
    checkpoint = Checkpoint("tiny", model, TOKENIZER, CARD)
    path = export_onnx(checkpoint, tmp_path_factory.mktemp(request.param))
    return model, Graph(path), path


def test_every_cell_gives_torchs_logits_at_every_length_and_batch(exported) -> None:
    model, graph, _ = exported
    draws = np.random.default_rng(0)
    for num_steps, num_rows in ((1, 5), (10, 3), (200, 1)):
        tokens_BT = draws.integers(0, model.vocab_size, (num_rows, num_steps))
        with torch.inference_mode():
            expected = model(torch.from_numpy(tokens_BT), model.zero_state(num_rows))[0].numpy()
        found = graph.read(tokens_BT)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
        assert (found.argmax(-1) == expected.argmax(-1)).all()


def test_the_perplexity_is_the_same(exported) -> None:
    model, graph, _ = exported
    ids = TOKENIZER.encode("花落知多少，春眠不觉晓。" * 4).ids
    logits_TV = graph.read(np.array([[1, *ids]]))[0].astype(np.float64)
    log_sums_T = np.log(np.exp(logits_TV).sum(-1))
    targets = np.array([*ids, 1])
    loss = float((log_sums_T - logits_TV[np.arange(len(targets)), targets]).mean())
    expected = cross_entropy(model, [ids], 1, stream=False)
    assert math.exp(loss) == pytest.approx(math.exp(expected), rel=1e-6)


def test_the_graph_says_what_it_is(exported) -> None:
    model, graph, path = exported
    width = max(model.config.layer_sizes)
    has_cell = model.config.cell in ("lstm", "mogrifier")
    names = ("hidden", "cell") if has_cell else ("hidden",)
    state = [model.config.num_layers, "batch", width]
    assert graph.inputs == {"token_ids": ["batch"], **dict.fromkeys(names, state)}
    assert graph.outputs["logits"] == ["batch", model.vocab_size]
    assert {name: graph.outputs[f"next_{name}"] for name in names} == dict.fromkeys(names, state)
    assert config_from_dict(json.loads(graph.metadata["config"])) == model.config
    assert (graph.metadata["boundary_id"], graph.metadata["unk_id"]) == ("1", "0")
    assert (graph.metadata["tokenizer"], graph.metadata["license"]) == ("characters", "MIT")
    beside = path.with_name("tokenizer.json").read_text("utf-8")
    assert Tokenizer.from_json(beside, "characters").encode("春鸟").ids == [
        *TOKENIZER.encode("春鸟").ids
    ]
    assert sorted(each.name for each in path.parent.iterdir()) == ["model.onnx", "tokenizer.json"]


def test_the_example_of_the_guide_writes_a_text(exported, tmp_path, monkeypatch, capsys) -> None:
    guide = Path(__file__).parents[2] / "docs" / "hub-and-onnx.md"
    (example,) = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    shutil.copytree(exported[2].parent, tmp_path / "exported" / "tang")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(guide), "exec"), {})
    written = capsys.readouterr().out
    assert written.startswith("春")
    assert "<" not in written


def other_models():
    size = TOKENIZER.vocab_size
    labels = {"labels": ("no", "yes"), "label_scores": (0, 1)}
    texts = [TOKENIZER.encode("春眠").ids]
    return {
        "classifier": Classifier(
            ClassifierConfig(vocab_size=size, embedding_size=4, hidden_size=4, **labels)
        ),
        "ngram": KneserNeyModel.estimate(texts, NGramConfig(vocab_size=size, order=2)),
    }


@pytest.mark.parametrize("task", ["classifier", "ngram"])
def test_what_has_no_step_is_refused_and_nothing_is_written(tmp_path, task) -> None:
    checkpoint = Checkpoint("tiny", other_models()[task], TOKENIZER, CARD)
    with pytest.raises(ExportError, match=f"tiny is a {task}: only recurrent language models"):
        export_onnx(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def saved(tmp_path):
    config = LanguageModelConfig(
        vocab_size=TOKENIZER.vocab_size, cell="feedforward", embedding_size=4, num_layers=1
    )
    save_checkpoint(tmp_path / "tiny", LanguageModel(config), TOKENIZER, CARD)
    return tmp_path / "tiny"


def test_the_command_exports_once_and_replaces_only_when_told_to(saved, tmp_path, capsys) -> None:
    pytest.importorskip("onnxscript")
    output = tmp_path / "out"
    assert main(["export", str(saved), str(output)]) == 0
    assert f"wrote {output / 'model.onnx'}" in capsys.readouterr().out
    assert Graph(output / "model.onnx").metadata["name"] == "tiny"
    assert main(["export", str(saved), str(output)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_checkpoints_own_folder_is_not_written_to(saved, capsys) -> None:
    before = sorted(saved.iterdir())
    assert main(["export", str(saved), str(saved)]) == 2
    assert "choose another OUT" in capsys.readouterr().err
    assert sorted(saved.iterdir()) == before


def test_without_the_package_the_message_says_what_to_install(saved, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(saved), str(saved / "out")]) == 2
    assert "--editable '.[onnx]'" in capsys.readouterr().err
