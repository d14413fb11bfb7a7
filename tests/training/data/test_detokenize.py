"""Benchmark tokens become what people write."""

from itertools import product

import pytest

from refrain.training.data.detokenize import detokenize
from refrain.training.data.readers.wikitext import natural_articles

CASES = {
    "The Kaiser @-@ class ships , 21 @,@ 000 t ( 9 @.@ 5 m ) .": "The Kaiser-class ships, 21,000 t (9.5 m).",
    'He said , " Yes , I did . "': 'He said, "Yes, I did."',
    "Scheer 's ship didn 't sink ; it 's fine !": "Scheer's ship didn't sink; it's fine!",
    "It ca n't be , wo n't it ?": "It can't be, won't it?",
    "the ships ' main guns": "the ships' main guns",
    "a ' quoted ' word": "a 'quoted' word",
    "before 16 : 00 on 5 – 7 March : none": "before 16:00 on 5–7 March: none",
    "cost $ 30 and / or £ 4 , 10 %": "cost $30 and/or £4, 10%",
    "-LRB- yes -RRB- `` no ''": '(yes) "no"',
    "O 'Brien 's": "O'Brien's",
    "a <unk> , <unk> .": "a <unk>, <unk>.",
    "Brilliant ! '": "Brilliant!'",
    'He left " , he said .': 'He left", he said.',
    "as alienating as ` Bartleby ' so": "as alienating as 'Bartleby' so",
    'it ended . "': 'it ended."',
    "in 1986 @,@": "in 1986,",
    "make 'em laugh 'til dawn": "make 'em laugh 'til dawn",
}


@pytest.mark.parametrize("tokens", CASES)
def test_tokens_become_natural_text(tokens) -> None:
    assert detokenize(tokens) == CASES[tokens]


def test_no_private_mark_is_left_whatever_the_quotes() -> None:
    for tokens in product(['"', "'", "``", "`", "''", ",", ".", "(", "a"], repeat=4):
        assert not set("\ue000\ue001") & set(detokenize(" ".join(tokens)))


def test_lines_become_articles_with_plain_headings() -> None:
    lines = [
        " ",
        " = First = ",
        " ",
        " It is . ",
        " = = Part = = ",
        " More . ",
        " ",
        " = Second = ",
        " ",
        " x ",
    ]
    assert natural_articles(lines) == ["First\nIt is.\nPart\nMore.", "Second\nx"]


def test_a_line_of_a_table_that_looks_like_a_heading_begins_no_article() -> None:
    lines = [" = First = ", " ", " Legend : ", " = Wins ; L = ", " Losses "]
    assert natural_articles(lines) == ["First\nLegend:\nWins; L\nLosses"]
