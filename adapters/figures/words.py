"""The words of published statistics in Chinese and English. What has no word here is shown as it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One text in both languages."""

    zh: str
    en: str

    def show(self, language: str) -> str:
        """Args: language — zh or en."""
        return self.zh if language == "zh" else self.en


def plain(text: object) -> Words:
    """The same in every language: names, numbers, digests."""
    return Words(str(text), str(text))


TITLE = Words("银税互动信贷统计", "Lending under the bank and tax exchange")
SUPPRESSED = Words("＊", "*")
NO_FIGURE = Words("—", "—")

FACTS = {
    "period": Words("统计期间", "Period"),
    "currency": Words("币种", "Currency"),
    "audience": Words("提供对象", "For"),
    "version": Words("版本", "Version"),
    "restatement": Words("重述说明", "Restatement"),
    "counted_until": Words("统计截止（北京时间）", "Counted until (China time)"),
    "banks": Words("计入银行", "Banks counted"),
    "tables": Words("计入的银行报表（摘要）", "Tables counted (digests)"),
    "missing": Words("未报银行", "Banks that have not reported"),
    "definitions": Words("统计口径", "Definitions"),
    "digest": Words("文件摘要", "Document digest"),
    "predecessor": Words("上一版本", "Version before"),
    "position": Words("日志位置", "Log position"),
    "none": Words("无", "none"),
}
AUDIENCES = {
    "AUDIENCE_BUREAU": Words("税务机关", "the bureau"),
    "AUDIENCE_BANKS": Words("银行", "banks"),
}
LEAF = Words("第 {} 条（共 {} 条）", "leaf {} of {}")

COLUMNS = {
    "dimension": Words("维度", "By"),
    "value": Words("取值", "Value"),
    "label": Words("名称", "Name"),
    "loans": Words("新发放笔数", "Loans granted"),
    "firms": Words("户数", "Firms"),
    "granted": Words("发放金额", "Amount granted"),
    "share_loans": Words("笔数占比 %", "Share of loans %"),
    "share_granted": Words("金额占比 %", "Share of amount %"),
    "mean": Words("笔均", "Mean loan"),
    "outstanding_loans": Words("余额笔数", "Loans outstanding"),
    "outstanding_firms": Words("余额户数", "Firms outstanding"),
    "balance": Words("期末余额", "Balance"),
    "bad_loans": Words("不良笔数", "Bad loans"),
    "bad_firms": Words("不良户数", "Firms, bad"),
    "bad_balance": Words("不良余额", "Bad balance"),
    "bad_share": Words("不良率 %", "Bad share %"),
    "refused": Words("拒绝申请", "Refused"),
    "refused_firms": Words("拒绝户数", "Firms refused"),
}
#: In rows with consent the first three sums count events.
EVENTS = {
    "loans": Words("事件数", "Events"),
    "firms": Words("户数", "Firms"),
    "granted": Words("金额", "Amount"),
}
GROUP_COLUMNS = {
    "GRANTED": Words("已抑制：发放", "suppressed: granted"),
    "OUTSTANDING": Words("已抑制：余额", "suppressed: outstanding"),
    "BAD": Words("已抑制：不良", "suppressed: bad"),
    "REFUSED": Words("已抑制：拒绝", "suppressed: refused"),
}
_SCALES = {"one": Words("", ""), "wan": Words("万", "10,000"), "yi": Words("亿", "100 million")}

HEADLINES = {
    "all": Words("全部新发放", "All loans granted"),
    "small": Words("其中小微企业", "Of these to small and micro enterprises"),
    "others": Words("其他借款人", "Other borrowers"),
    "unknown": Words("规模不明", "Size not known"),
    "by": Words("按口径 {}", "by definition {}"),
    "loans": Words("笔", "loans"),
    "mean": Words("笔均", "mean"),
    "of_loans": Words("笔数占比", "of loans"),
    "of_amount": Words("金额占比", "of the amount"),
}

SECTIONS = {
    "about": Words("本表", "About this table"),
    "headlines": Words("主要数字", "Main figures"),
    "charts": Words("图", "Charts"),
    "notes": Words("说明", "Notes"),
}
CHARTS = {
    "grade": Words("发放金额：按所依据的信用级别", "Amount granted, by grade relied on"),
    "small": Words("小微企业占比（口径 {}）", "Share of small and micro enterprises (definition {})"),
    "guarantee": Words("发放金额：按担保方式", "Amount granted, by guarantee"),
    "bank": Words("发放金额：按银行", "Amount granted, by bank"),
}
#: Where there are more bars than fit.
LARGEST = Words("（共 {1} 个，列最大 {0} 个）", " (the {0} largest of {1})")

DIMENSIONS = {
    "total": Words("合计", "Total"),
    "bank": Words("银行", "Bank"),
    "grade": Words("所依据的信用级别", "Grade relied on"),
    "true-grade": Words("真实信用级别", "True grade"),
    "grade-pair": Words("所依据 > 真实", "Relied on > true"),
    "size": Words("企业规模（口径 {}）", "Size (definition {})"),
    "guarantee": Words("担保方式", "Guarantee"),
    "product": Words("贷款产品", "Product"),
    "industry": Words("行业门类", "Industry"),
    "district": Words("区县", "District"),
    "first-time": Words("首贷户", "First-time borrower"),
    "rate": Words("年利率", "Annual rate"),
    "consented": Words("经企业授权的明细，{}：{}", "Rows with consent, {}: {}"),
}
VALUES = {
    "all": Words("全部", "all"),
    "unknown": Words("不明", "not known"),
    "none": Words("未依据级别", "no grade relied on"),
    "withdrawn": Words("级别已撤回", "grade taken back"),
    "UNRATED": Words("未评级", "unrated"),
    "CANCELLED": Words("已取消", "cancelled"),
    "large": Words("大型", "large"),
    "medium": Words("中型", "medium"),
    "small": Words("小型", "small"),
    "micro": Words("微型", "micro"),
    "inclusive": Words("普惠型小微", "inclusive"),
    "small-low-profit": Words("小型微利", "small and low-profit"),
    "other": Words("其他", "other"),
    "credit": Words("信用", "credit"),
    "guarantor": Words("保证", "guarantor"),
    "mortgage": Words("抵押", "mortgage"),
    "pledge": Words("质押", "pledge"),
    "combined": Words("组合", "combined"),
    "yes": Words("是", "yes"),
    "no": Words("否", "no"),
}
#: Letters of GB/T 4754.
INDUSTRIES = {
    "A": Words("农、林、牧、渔业", "agriculture, forestry, fishing"),
    "B": Words("采矿业", "mining"),
    "C": Words("制造业", "manufacturing"),
    "D": Words("电力、热力、燃气及水的生产和供应业", "electricity, heat, gas, water"),
    "E": Words("建筑业", "construction"),
    "F": Words("批发和零售业", "wholesale and retail"),
    "G": Words("交通运输、仓储和邮政业", "transport, storage, post"),
    "H": Words("住宿和餐饮业", "hotels and restaurants"),
    "I": Words("信息传输、软件和信息技术服务业", "information technology"),
    "J": Words("金融业", "finance"),
    "K": Words("房地产业", "real estate"),
    "L": Words("租赁和商务服务业", "leasing and business services"),
    "M": Words("科学研究和技术服务业", "research and technical services"),
    "N": Words("水利、环境和公共设施管理业", "water, environment, public facilities"),
    "O": Words("居民服务、修理和其他服务业", "household services and repair"),
    "P": Words("教育", "education"),
    "Q": Words("卫生和社会工作", "health and social work"),
    "R": Words("文化、体育和娱乐业", "culture, sports, entertainment"),
    "S": Words("公共管理、社会保障和社会组织", "public administration"),
    "T": Words("国际组织", "international organisations"),
}
STAGES = {
    "applied": Words("申请", "applied"),
    "pre-credit": Words("预授信", "pre-credit"),
    "credit-approved": Words("授信", "credit approved"),
    "rejected": Words("拒绝", "rejected"),
    "contracted": Words("签约", "contracted"),
    "disbursed": Words("放款", "disbursed"),
    "repaid": Words("还款", "repaid"),
    "overdue": Words("逾期", "overdue"),
    "npl": Words("不良", "bad loan"),
    "written-off": Words("核销", "written off"),
    "cancelled": Words("取消", "cancelled"),
}

NOTES = (
    Words(
        "＊ 为抑制：该数后不足三户，或可由减法推出这样的数。同一张表内无法还原。",
        "* is suppressed: fewer than three firms stand behind it, or it would give such a number away by subtraction. "
        "Nothing in this table brings it back.",
    ),
    Words(
        "笔数、金额和拒绝为期间发生额；余额和不良为期末数。",
        "Loans, amounts granted and refusals are flows of the period; balances and bad loans stand at its end.",
    ),
    Words(
        "户数按银行分别计数：同一企业在两家银行计两户，在两个取值中各计一户，故各取值户数之和可大于合计。",
        "Firms are counted at each bank: one with loans of two banks is counted twice, and once in each value, so that "
        "firms of the values may come to more than the total.",
    ),
    Words(
        "不同规模口径的数字不得相加。",
        "Figures by different definitions of size are never added.",
    ),
    Words(
        "经企业授权的明细是合计数之内的细目，仅含借款人书面同意提供的贷款。",
        "Rows with consent are detail inside the totals: only of borrowers that agreed in writing.",
    ),
)


def unit(scale: str, currency: str) -> Words:
    """Args: scale — one, wan (10⁴) or yi (10⁸) units of the currency."""
    of = _SCALES[scale]
    zh = f"{of.zh}元" if currency == "CNY" else f"{of.zh} {currency}"
    return Words(zh.strip(), f"{of.en} {currency}".strip())
