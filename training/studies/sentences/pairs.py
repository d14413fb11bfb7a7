"""A grammar of Chinese sentences in pairs: the same words in two orders, and two meanings.

Every pattern has slots that are filled from lists; both sentences of a pair are filled alike. The words are cut by
hand, so that no segmenter is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pattern:
    """Two orders of the same words.

    Attributes
    ----------
    orders
        The two sentences, as templates with slots; words are set apart by spaces.
    meanings
        What each order says: the labels to be learned.
    slots
        What may stand in each slot, in words set apart by spaces.
    """

    orders: tuple[str, str]
    meanings: tuple[str, str]
    slots: dict[str, Sequence[str]]


@dataclass(frozen=True)
class Pair:
    """The two sentences of a filled pattern, as words, and the label of each."""

    sentences: tuple[tuple[str, ...], tuple[str, ...]]
    labels: tuple[int, int]


WHO = ("我", "你", "他", "她", "我们", "他们", "小明", "姐姐", "老师", "爸爸")
DEEDS = (
    *("打 篮球", "踢 足球", "打 网球", "看 电影", "看 书", "买 东西", "买 菜", "吃 饭"),
    *("喝 茶", "喝 咖啡", "游泳", "跑步", "爬 山", "钓 鱼", "唱 歌", "跳 舞"),
)
BY_SIZE = ("蚂蚁", "老鼠", "兔子", "猫", "狗", "羊", "老虎", "马", "大象")
"""Animals from small to large."""
THINGS = ("房间", "早餐", "服务", "电影", "书", "手机", "天气", "味道", "声音", "颜色")
GOOD = ("好", "干净", "便宜", "方便", "清楚", "舒服", "新鲜", "漂亮")
GROUPS = ("学生", "老师", "医生", "中国 人", "朋友", "孩子", "工人", "司机")

PATTERNS = (
    Pattern(
        ("{who} {will} 去 {deed}", "{who} {will} {deed} 去"),
        ("go, in order to do it", "do it, off one goes"),
        {"who": WHO, "will": ("要", "想", "明天", "现在", "晚上", "周末"), "deed": DEEDS},
    ),
    Pattern(
        ("{who} 先 {deed} 再 {other}", "{who} 先 {other} 再 {deed}"),
        ("eat first, the rest later", "eat last"),
        {"who": WHO, "deed": ("吃 饭",), "other": [deed for deed in DEEDS if deed != "吃 饭"]},
    ),
    Pattern(
        ("{large} 比 {small} 大", "{small} 比 {large} 大"),
        ("true: it is larger", "false: it is smaller"),
        {"small": BY_SIZE, "large": BY_SIZE},
    ),
    Pattern(
        ("{large} 追 {small}", "{small} 追 {large}"),
        ("the large one chases", "the small one chases"),
        {"small": BY_SIZE, "large": BY_SIZE},
    ),
    Pattern(
        ("{thing} 很 不 {good}", "{thing} 不 很 {good}"),
        ("bad indeed", "not very good"),
        {"thing": THINGS, "good": GOOD},
    ),
    Pattern(
        ("{who} 都 不 是 {group}", "{who} 不 都 是 {group}"),
        ("none of them", "not all of them"),
        {"who": ("我们", "你们", "他们", "她们", "这些 人", "那些 人"), "group": GROUPS},
    ),
)
SHOWN = (
    "我 要 去 打 篮球",
    "她 先 吃 饭 再 看 电影",
    "大象 比 兔子 大",
    "猫 追 老鼠",
    "房间 很 不 干净",
    "他们 都 不 是 学生",
)
"""The first sentences of the pairs that are shown, one a pattern; training never sees them."""


def meanings() -> list[str]:
    """Name the labels: two a pattern."""
    return [meaning for pattern in PATTERNS for meaning in pattern.meanings]


def pairs_of(pattern: Pattern) -> Iterator[Pair]:
    """Fill a pattern in every way that makes sense: of two animals, `small` is the smaller."""
    first_label = 2 * PATTERNS.index(pattern)
    for values in itertools.product(*pattern.slots.values()):
        filling = dict(zip(pattern.slots, values, strict=True))
        if "large" in filling and not _in_order(filling["small"], filling["large"]):
            continue
        one, other = (tuple(order.format(**filling).split()) for order in pattern.orders)
        yield Pair((one, other), (first_label, first_label + 1))


def _in_order(small: str, large: str) -> bool:
    return BY_SIZE.index(small) < BY_SIZE.index(large)


def split_pairs(
    random: np.random.Generator, held_out: float
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Split all pairs: to train on, to test on, and those of `SHOWN`, which are of the test too."""
    train, test, shown = [], [], []
    wanted = {tuple(sentence.split()) for sentence in SHOWN}
    for pair in itertools.chain.from_iterable(map(pairs_of, PATTERNS)):
        if pair.sentences[0] in wanted:
            shown.append(pair)
        elif random.random() >= held_out:
            train.append(pair)
        else:
            test.append(pair)
    return train, shown + test, shown
