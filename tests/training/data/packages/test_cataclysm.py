"""What a player reads: talk, notes and descriptions."""

import json
from itertools import cycle

import pytest

from refrain.training.data.packages.cataclysm import FOLDER, clean_line, read_cataclysm
from refrain.training.errors import CorruptDatasetError
from tests.support.package_files import make_deb

TALK = {
    "type": "talk_topic",
    "id": "TALK_NED",
    "//": "A comment to whoever edits this.",
    "dynamic_line": {
        "npc_has_trait": "NED_MET",
        "yes": "&You see Ned.  He waves at you, <name_g>.",
        "no": ["Who are you?", "A man without an end"],
    },
    "responses": [
        {"text": "[LIE] I am <unknown_name>.", "topic": "TALK_DONE"},
        {"text": "A friend.", "topic": "TALK_DONE", "effect": {"u_add_effect": "met"}},
    ],
}
NAMES = {"type": "snippet", "category": "<name_g>", "text": ["amigo", "<very> friend", "mate"]}
ITEMS = [
    {
        "type": "ARMOR",
        "name": "hat",
        "description": {"str": "A hat of <color_red>red</color> felt."},
    },
    {
        "type": "snippet",
        "category": "note",
        "text": [{"id": "n1", "text": "Dear diary:\nI am %s."}],
    },
    {
        "type": "ARMOR",
        "description": "A long coat that keeps out the wind, the rain and whatever else may come.",
    },
]


def test_a_file_has_its_talk_and_texts_in_order(tmp_path) -> None:
    package = make_deb(
        tmp_path / "game.deb",
        {
            f"{FOLDER}json/talk.json": json.dumps([TALK, NAMES, *ITEMS]),
            f"{FOLDER}json/short.json": json.dumps(ITEMS[0]),
            f"{FOLDER}mods/TEST_DATA/items.json": json.dumps(ITEMS * 9),
        },
    )
    (document,) = read_cataclysm(package)
    assert document.id == "json/talk"
    assert document.text.split("\n") == [
        "You see Ned. He waves at you, amigo.",
        "Who are you?",
        "A friend.",
        "A hat of red felt.",
        "Dear diary:",
        ITEMS[2]["description"],
    ]


def test_a_file_that_is_no_json_is_refused(tmp_path) -> None:
    package = make_deb(tmp_path / "game.deb", {f"{FOLDER}json/a.json": "[1,"})
    with pytest.raises(CorruptDatasetError, match=r"json/a\.json is no JSON"):
        list(read_cataclysm(package))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("[$10] you have a deal!", "You have a deal!"),
        ("<name_g>, wait…", "Amigo, wait…"),
        ("I am <nobody>.", ""),
        ("You have %d left.", ""),
        ("TALK_NED", ""),
        ("", ""),
    ],
)
def test_a_line_is_cleaned_or_left_out(raw, clean) -> None:
    assert clean_line(raw, {"<name_g>": cycle(["amigo"])}) == clean
