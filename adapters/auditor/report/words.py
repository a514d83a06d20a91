"""The report's words in Chinese and English. Codes of the contract that are not listed are shown as they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One text in both languages."""

    zh: str
    en: str

    def show(self, language: str) -> str:
        """Args: language — zh, en or both."""
        if language == "both":
            return self.zh if self.zh == self.en else f"{self.zh} / {self.en}"
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Several:
    """Texts in a row; what is the same in both languages is shown once."""

    parts: tuple[Words | Several, ...]
    between: Words

    def show(self, language: str) -> str:
        """Args: language — zh, en or both."""
        return self.between.show("en" if language == "both" else language).join(
            part.show(language) for part in self.parts
        )


#: What stands in a cell.
Cell = Words | Several
SEMICOLON, SPACE = Words("；", "; "), Words(" ", " ")


def plain(text: object) -> Words:
    """The same in every language: names, numbers, digests."""
    return Words(str(text), str(text))


TITLE = Words("税收信用信息披露报告", "Report on disclosures of tax credit grades")
NOTHING = Words("无", "none")
YES, NO = Words("是", "yes"), Words("否", "no")

SECTIONS = {
    "subject": Words("信用主体", "Subject"),
    "now": Words("现行结论", "What is held true now"),
    "disclosed": Words("已披露的记录", "What was disclosed"),
    "deliveries": Words("向谁、何时、依据什么", "To whom, when, on which basis"),
    "silent": Words("未提及该主体的期次（经证明）", "Editions that say nothing of the subject (proven)"),
    "objections": Words("异议", "Objections"),
    "recalls": Words("更正与召回", "Corrections and recalls"),
    "holdings": Words("各接收方目前持有的记录", "What each recipient holds now"),
    "outcomes": Words("经主体授权报送的信贷明细", "Single loans that banks reported with the subject's authorisation"),
    "scope": Words("范围与核验", "What this covers, and how it was verified"),
    "documents": Words("所依据的签署文件（摘要）", "Sealed documents this rests on (digests)"),
    "not_proven": Words("本报告不能证明", "What this report does not prove"),
}

COLUMNS = {
    "identifier": Words("统一社会信用代码或纳税人识别号", "USCC or taxpayer number"),
    "names": Words("名称", "Names"),
    "made_at": Words("报告时间（北京时间）", "Made at (China time)"),
    "product": Words("数据产品", "Product"),
    "origin": Words("税务机关", "Tax bureau"),
    "legal_basis": Words("法律依据", "Legal basis"),
    "edition": Words("期次", "Edition"),
    "news": Words("变化", "Says"),
    "grade": Words("信用级别", "Grade"),
    "year": Words("评价年度", "Evaluation year"),
    "decision": Words("判定类型", "Decision"),
    "decided_on": Words("判定日期", "Decided on"),
    "validity": Words("有效期", "Valid"),
    "published_by": Words("发布人", "Published by"),
    "approved_by": Words("审批人", "Approved by"),
    "published_at": Words("发布时间", "Published at"),
    "leaves": Words("日志位置", "Log positions"),
    "recipient": Words("接收方", "Recipient"),
    "offered": Words("提供", "Offered"),
    "received": Words("收到", "Received"),
    "accepted": Words("核验", "Examined"),
    "applied": Words("入库", "Applied"),
    "basis": Words("披露级别、协议与依据", "Class, agreement, ground"),
    "marked": Words("异议标记", "Dispute mark"),
    "number": Words("编号", "Number"),
    "filed_on": Words("提出", "Filed"),
    "due_on": Words("期限", "Due"),
    "term": Words("期限依据", "Term and its basis"),
    "outcome": Words("结果", "Outcome"),
    "correction": Words("更正期次", "Correction"),
    "persons": Words("受理人、决定人", "Received by, decided by"),
    "reason": Words("原因", "Reason"),
    "state": Words("状态", "State"),
    "told": Words("告知", "Told"),
    "confirmed": Words("确认", "Confirmed"),
    "record": Words("记录", "Record"),
    "since": Words("自", "Since"),
    "signed_by": Words("签署人", "Signed by"),
    "head": Words("日志树头", "Log head"),
    "covers": Words("涵盖", "Covers"),
    "asked_by": Words("查询人", "Asked by"),
    "purpose": Words("查询目的", "Purpose"),
    "policy": Words("核验策略", "Policy"),
    "verified": Words("核验", "Verified"),
    "document": Words("文件", "Document"),
    "digest": Words("摘要", "Digest"),
    "stopped": Words("已停止", "stopped"),
    "bank": Words("报送银行", "Bank"),
    "loan": Words("贷款编号（化名）与产品", "Loan (pseudonym), product"),
    "stage": Words("阶段", "Stage"),
    "event_date": Words("发生日期", "Event date"),
    "amount": Words("金额", "Amount"),
    "relied": Words("所依据的级别与期次", "Grade and edition relied on"),
    "authorisation": Words("授权书摘要、范围、有效期", "Authorisation: digest, scope, validity"),
    "reported": Words("报送", "Reported"),
    "batch": Words("批次", "Batch"),
    "became": Words("收到时的处理", "What became of it when it came"),
}

#: Codes of the contract, by what they name.
CODES = {
    "kind": {
        "FULL": Words("全量", "full"),
        "DELTA": Words("增量", "delta"),
        "CORRECTION": Words("更正", "correction"),
    },
    "news": {
        "new": Words("新增", "new"),
        "changed": Words("变更", "changed"),
        "unchanged": Words("不变", "unchanged"),
        "gone": Words("已退出", "gone"),
        "absent": Words("不在其中", "absent"),
    },
    "decision": {
        "ANNUAL": Words("年度评价", "annual"),
        "SUPPLEMENT": Words("补评", "supplement"),
        "REVIEW": Words("复评", "review"),
        "DYNAMIC": Words("动态调整", "dynamic adjustment"),
        "REPAIR": Words("修复", "repair"),
        "CORRECTION": Words("更正", "correction"),
        "CANCEL": Words("取消", "cancelled"),
    },
    "grade": {
        "UNRATED": Words("未评级", "unrated"),
        "CANCELLED": Words("取消", "cancelled"),
    },
    "class": {
        "PUBLIC": Words("依法公开", "public by law"),
        "AGREEMENT": Words("依合作协议提供", "under a cooperation agreement"),
        "AUTHORISED": Words("经企业授权提供", "with the enterprise's authorisation"),
        "AUTHORITY": Words("部门间共享", "between authorities"),
    },
    "ground": {
        "AGREEMENT": Words("协议有效", "agreement in force"),
        "RECALL": Words("召回：曾接收被更正的记录", "recall: was given what is corrected"),
    },
    "state": {
        "OPEN": Words("未确认", "open"),
        "CONFIRMED": Words("已确认", "confirmed"),
        "STOPPED": Words("更正已停止", "correction stopped"),
    },
    "outcome": {
        "UPHELD": Words("成立", "upheld"),
        "PARTLY": Words("部分成立", "partly upheld"),
        "DENIED": Words("不成立", "denied"),
        "UNDECIDABLE": Words("无法认定", "undecidable"),
    },
    "stage": {
        "APPLIED": Words("申请", "applied"),
        "PRE_CREDIT": Words("预授信", "pre-credit"),
        "CREDIT_APPROVED": Words("授信批准", "credit approved"),
        "REJECTED": Words("拒绝", "rejected"),
        "CONTRACTED": Words("签约", "contracted"),
        "DISBURSED": Words("放款", "disbursed"),
        "REPAID": Words("还款", "repaid"),
        "OVERDUE": Words("逾期", "overdue"),
        "NPL": Words("不良", "bad loan"),
        "WRITTEN_OFF": Words("核销", "written off"),
        "CANCELLED": Words("撤销", "cancelled"),
    },
    "became": {
        "COUNTED": Words("计入", "counted"),
        "HELD": Words("待核", "held, with a question"),
        "REPEATED": Words("重复报送", "sent before"),
        "CONFLICT": Words("与先前内容不一致", "in conflict with what was sent before"),
        "CORRECTED": Words("已被更正", "corrected"),
    },
    "nature": {
        "STATUTORY_DUTY": Words("法定义务", "statutory duty"),
        "AGREED_TERM": Words("约定期限", "agreed term"),
        "INTERNAL_TARGET": Words("内部目标", "internal target"),
    },
    "document": {
        "manifest": Words("期次清单", "manifest"),
        "approval": Words("审批书", "approval"),
        "delivery": Words("提供书", "delivery"),
        "receipt": Words("回执", "receipt"),
        "batch": Words("信贷明细批次", "batch of single loans"),
        "outcome receipt": Words("批次回执", "receipt for a batch"),
    },
    "unit": {
        "WORKING_DAYS": Words("个工作日", "working days"),
        "CALENDAR_DAYS": Words("个自然日", "calendar days"),
    },
}

#: What the texts say that a catalogue names; the product's own words come from an export.
BASES = {
    "PUBLIC": Words(
        "依法公开（国家税务总局公告2014年第40号）", "published by law (国家税务总局公告 2014 年第 40 号)"
    ),
    "AGREEMENT": Words(
        "合作协议（税总发〔2015〕96号、税总发〔2019〕113号）",
        "cooperation agreement (税总发〔2015〕96号, 税总发〔2019〕113号)",
    ),
}

COVERS_ALL = Words("日志中全部税务机关已发布的期次", "the published editions of every bureau in the log")
COVERS_OWN = Words("仅涵盖{}的期次，其他税务机关的期次不在内", "editions of {} alone; not those of other bureaus")
COVERS_PRODUCT = Words("仅限数据产品{}", "of product {} alone")
FROM_EXPORT = Words("未向网关查询：取自整份日志导出", "no gateway was asked: read from an export of the whole log")
KEYS = Words("{}把钉扎密钥", "{} pinned keys")
VERIFIED = Words(
    "以下全部签名与证明均已依此策略、在此日志树头下核验",
    "every signature and proof shown here was verified under this policy and this head",
)
OPEN_YET = Words("未决", "open")
UNCONFIRMED = Words("（条文未经核对）", "(text of the article not confirmed)")
NO_RECORD = Words("无记录", "no record")
REFUSED = Words("未入库，接收方规则：", "not taken, the recipient's own rules: ")
RECALLED = Words("先于中间期次收到更正", "taken back by a correction ahead of the editions between")
UNCERTAIN = Words("更正可能已撤回该记录", "a correction may have taken the record back")
LEAF = Words("第{}条", "leaf {}")

NOT_PROVEN = (
    Words(
        "网关已出示全部提供记录：须以整份日志导出证明（xinyi-audit export，再用 --export）",
        "that the gateway shows every delivery: an export of the whole log does (xinyi-audit export, then --export)",
    ),
    Words("钉扎密钥何时失效：亦须以导出证明", "when a pinned key ended: an export shows that as well"),
    Words(
        "已出示各银行报送的该主体全部信贷明细：日志只载批次，不载明细",
        "that every single loan which banks reported about the subject is shown: the log holds batches, not their rows",
    ),
    Words(
        "级别判定本身正确，或任何一方签署时的时钟准确",
        "that a grade was rightly decided, or that a party's clock was right when it signed",
    ),
)


def code(kind: str, value: str) -> Words:
    return CODES[kind].get(value, plain(value))
