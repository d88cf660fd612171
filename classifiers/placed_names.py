"""Whether a word that stands where a name could stand is one: nobody said so, and a last line may as well be 漏水 or 余款.

A wrong name greets a stranger (失望您好) and goes into his ticket; none greets him without a name, which is always right. So in doubt, no.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from classifiers.cues import CALLED, OFFICES, PARENT, surnames
from classifiers.facets import shipped_facets

# Characters that given names are mostly made of: with a surname before them they make a name even where two of the three are a word
# (王国强, 张文静).
_GIVEN = frozenset(
    "伟强磊洋勇军杰涛超明刚平辉鹏飞健斌波宇浩凯鑫峰林亮建国华志文海龙俊东晓云春秀英丽敏静芳娜艳娟霞玲桂兰玉萍红梅燕慧莉倩雪琴洁颖琳瑶"
    "璐婷莹薇佳怡欣雨晨梓轩涵睿萱蕾蓉菊凤珍珠淑惠荣贵福生富贤德义仁礼智信忠孝良善永庆兴祥瑞吉康宁安泰和顺成功立新振世继承祖宗泽恩"
    "学思哲睿博彦昊天翔宏恒毅坚威武豪雄刘杨宝金银锋钢铁铭钧锦绣彩虹星辰阳晴月秋冬夏冰清源江河湖滨川山岩松柏竹桦森树根苗莲荷芸茜菲"
    "芬芝茹萌嘉家乐欢喜悦诗诺亚可依伊妮娅嫣姝妍婧媛嫒婉娇娥媚姗珊珂琪琦瑜瑾璇璟瑛玥玮琼旭昌晖晶景晗朗煜炜烨焕灿炎烽耀光照启发达进"
    "长远志正直廷庭卓越奇逸凡尚进修齐治政民胜利全友朋群众伯仲叔季小大子元一帆航舟帅师卫兵战士勤俭朴素纯真诚实爱心念慈善雅韵馨甜美"
    "楠桐榕槐彬霖霏露霜雷震霆昱昭旺晟熙然泓沛沐浩瀚澜潇涓淼渊源洪涌润溪俐佩仪传伦伶俏侠儒倪倚尔尧岳峻峥嵘巍崇岚钰锐镇镕鉴铮彤骏守香颜娴蕊楷翰雯鸣小"
)
# Surnames that begin hardly any word, so that even a word of the dictionary is a name: 李强, 赵云.
_ONLY_NAMES = frozenset("李刘赵郭韩冯邓曹袁萧傅彭吕蒋蔡贾薛潘戴姚谭廖崔郝邱邵龚庞尹闫阎")
_STILL_A_NAME = 200
# Surnames that begin very many words; what follows must then be of given names.
_WORDY = frozenset(
    "白黄金江高石方余毛文武万龙马林周任田史叶夏康唐雷汤游温左尚包安宁平乐成常盛关解司应古云水房花车门管时明权梁项单阳农都全和相从能通那"
    "信初计但干于向来展盖练经强家有修何如同还多付查支化终开宿米居过费保满钱冉"
)
# A word of the dictionary this frequent within a name is no chance; and a whole name of two characters this rare one may be.
_WORD, _RARE = 30, 40
# Nobody is called by a word this common.
_COMMON = 700
# Things of a home that are surnames, too: 小车 and 老房 call nobody.
_THINGS = frozenset("水房花车门管梁单项石毛保费")
# What estates and rooms end in and people do not: 云栖里.
_PLACES = frozenset("里府苑邸墅郡区楼房厅室门窗墙板")
# Names from other tongues are written with these.
FOREIGN = frozenset("尔丽古阿依努巴特其格扎西平措次仁卓嘎卜力孜哈斯根娜达迪木提江买热拉姆旦多吉云乌干查苏克不汗孜麦买合日")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
_TITLED = re.compile(rf"(?:{CALLED}|{OFFICES})$")
_PARENT = re.compile(rf"(?:{PARENT})$")


@cache
def _surnames() -> tuple[frozenset[str], frozenset[str]]:
    single, double = surnames()
    return frozenset(single), frozenset(double.split("|"))


@cache
def _terms() -> frozenset[str]:
    return frozenset(shipped_facets().terms())


def may_be_placed(name: str, frequency: Callable[[str], int], *, strong: bool = False) -> bool:
    """Whether a piece of Han text that nobody calls a name is one all the same: a surname with a given name, or with an address.

    strong: his telephone number stands right behind it, so that a word that people are called by will do: 田野, 孔雀.
    """
    if not _HAN.fullmatch(name):
        return True
    single, double = _surnames()
    if name in _terms() or len(name) < 2:
        return False
    if titled := _TITLED.search(name):
        # 王工 and 张姐; 停工 and 大姐 are words.
        who = name[: titled.start()]
        return len(titled[0]) > 1 or (bool(who) and frequency(name) < _WORD and (who in single or who[0] in "小老阿"))
    if (parent := _PARENT.search(name)) and len(name) > 2:
        # 糖糖妈妈
        return not frequency(name) and all(char in _GIVEN or char == name[0] for char in name[: parent.start()])
    if len(name) == 2 and (name[0] == name[1] or name[0] in "小老阿大"):
        # 丽丽, 小顾, 阿茶; but 大门 and 小车 are words.
        return name[1] in _GIVEN or (frequency(name) < _WORD and name[1] in single and name[1] not in _THINGS)
    if len(name) > 3 and not frequency(name) and sum(char in FOREIGN for char in name) * 2 >= len(name):
        return True
    long = name[:2] in double
    if not long and name[0] not in single:
        return False
    if strong and frequency(name) < _COMMON:
        return True
    given = name[2:] if long else name[1:]
    if not 1 <= len(given) <= 2:
        return False
    usual = all(char in _GIVEN for char in given)
    count = frequency(name)
    if len(name) == 2:
        if count:
            return count < _STILL_A_NAME if name[0] in _ONLY_NAMES else count < _RARE and usual and name[0] not in _WORDY
        return usual or name[0] not in _WORDY
    if count >= _WORD or name[-1] in _PLACES:
        return False
    wordy = name[0] in _WORDY
    worded = frequency(name[:2]) >= (1 if wordy else _WORD) or (wordy and frequency(name[1:]) >= _WORD)
    return long or usual or not worded
