"""Telling natural persons from organisations, in order to keep persons out. Errs towards a person."""

from __future__ import annotations

# The most frequent family names; the list decides about names of two to four characters only.
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢"
    "姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常"
    "汤欧涂闵聂章鲁葛俞柯翁尤祝詹骆喻辛管温庄齐康邢樊岳殷施洪柳焦裴"
)
_DOUBLE_SURNAMES = (
    "欧阳",
    "上官",
    "司马",
    "诸葛",
    "司徒",
    "夏侯",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "令狐",
    "东方",
    "端木",
)
#: How organisations end that have so short a name.
_ORGANISATION_ENDS = frozenset(
    "司厂店社部院所站行馆局校会处场队坊楼吧铺室园厅庄堂屋居阁轩斋台城厦市库港矿村组网团系"
)
_SHORT_ORGANISATIONS = ("中心", "集团", "公司", "酒家", "超市", "大厦", "广场", "银行")


def is_personal_name(name: str) -> bool:
    """Two to four Chinese characters led by a family name and not ended like an organisation; or names with a
    middle dot, as several nationalities write them."""
    if "·" in name or "•" in name:
        parts = name.replace("•", "·").split("·")
        return len(name) <= 20 and all(map(_is_chinese, parts)) and name[-1] not in _ORGANISATION_ENDS
    if not 2 <= len(name) <= 4 or not _is_chinese(name):
        return False
    if name[-1] in _ORGANISATION_ENDS or name.endswith(_SHORT_ORGANISATIONS):
        return False
    return (name[0] in _SURNAMES and len(name) <= 3) or name.startswith(_DOUBLE_SURNAMES)


def mask(text: str) -> str:
    """The first two characters; the number of the others stays visible, they do not."""
    return text[:2] + "*" * (len(text) - 2)


def _is_chinese(text: str) -> bool:
    return bool(text) and all("\u3400" <= c <= "\u9fff" for c in text)
