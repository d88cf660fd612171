"""Whether the display name of a sender can be the name of a person.

Purpose: mailers let people call themselves 往事随风 or 客户服务部; only what looks like a name is offered as one, and the text of the
complaint outweighs it.
"""

from __future__ import annotations

import re

_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛"
    "伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄"
    "单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚木穆党燕郎邸冀谈姬屠连郜晏栾郁"
    "商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原官衣楚佟栗匡宗应台巫鞠僧桑荆谌張劉陳楊趙黃吳孫馬羅鄭謝韓馮蕭"
    "鄧許呂蘇盧蔣賈葉閻餘鐘譚鄒陸顧錢湯賴龔龐蘭顏嚴溫魯韋畢聶叢齊莊塗時關費紀歐項衛鮑單寧閔華車邊饒"
)
_COMPOUND = (
    *("欧阳", "歐陽", "上官", "司马", "司馬", "诸葛", "諸葛", "东方", "皇甫", "尉迟"),
    *("公孙", "慕容", "令狐", "司徒", "夏侯", "端木", "南宫"),
)

# Words that begin like a surname and are none.
# fmt: off
_NO_NAMES = frozenset((
    "高兴", "夏天", "江湖", "金色", "安静", "平安", "白云", "温暖", "阳光", "方向", "时光", "向往", "文明", "金牌", "万科",
    "万达", "龙湖", "华润", "华夏", "安心", "成功", "常见", "游客", "路人", "包容", "单身", "项目", "官方", "房东", "房客",
    "房产", "管家", "计算", "商家", "连心", "花开", "简单", "快乐", "乐观", "全家", "冷静", "成长", "时间", "文化", "白领",
    "白天", "高管", "高端", "石头", "马上", "于是", "何必", "任性", "向前", "向日葵", "祝福", "祝好", "柳絮", "柳树", "易购",
    "常乐", "华为", "华泰", "金地", "金茂", "万象", "关注", "关爱", "解决", "包租婆", "强大", "盛世", "宁静", "安宁", "康乐",
    "阳台", "雷锋", "金融", "安家", "房管局", "田园", "应用", "原来", "计划", "成员", "符号", "台湾", "商务", "商场", "党员",
))
# fmt: on
_ORGANISATION = re.compile(
    r"公司|集团|集團|中心|客服|物业|物業|管理|部$|处$|局$|所$|银行|銀行|系统|系統|服务|服務|团队|團隊|小组|小組|邮|郵|官方|通知|平台|委员会|业主|銷售|销售|先生|女士|小姐"
)
_HAN_NAME = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]{2,4}")
_MINORITY_NAME = re.compile(r"[\u4e00-\u9fff]{2,6}·[\u4e00-\u9fff]{1,8}")
_LATIN_NAME = re.compile(
    r"[A-Z][a-zà-öø-ÿ'’-]{1,20}(?: [A-Z][a-zà-öø-ÿ'’.-]{0,20}){1,2}|[A-Z][a-zà-öø-ÿ'’-]{1,20}, [A-Z][a-zà-öø-ÿ'’-]{1,20}"
)
_LATIN_NO_NAME = re.compile(
    r"\b(?:mail|system|team|support|service|services|customer|admin|administrator|info|reply|news|notice|notification|delivery|daemon|post"
    r"|office|group|company|sales|department|center|centre|online|web|gmbh|ltd|inc|bank|server|desk|account|accounts|security)\b",
    re.IGNORECASE,
)


def looks_like_person(name: str) -> bool:
    """Whether `name` (as `mail_headers.addresses` gives it) can be a person's name.

    Chinese: two or three characters of which the first is a surname, four with a surname of two, or a name with a middle dot.
    Others: two or three capitalised words. When in doubt, no: a wrong name is worse than none.
    """
    name = name.strip()
    if _HAN_NAME.fullmatch(name):
        if name in _NO_NAMES or name[:2] in _NO_NAMES or _ORGANISATION.search(name):
            return False
        if name.startswith(_COMPOUND):
            return len(name) in (3, 4)
        return len(name) <= 3 and name[0] in _SURNAMES
    if _MINORITY_NAME.fullmatch(name):
        return True
    return bool(_LATIN_NAME.fullmatch(name)) and not _LATIN_NO_NAME.search(name)
