"""How an agent and how a customer speak: the words that tell them apart, with their weights, and the score of a text."""

# A row of the table is one line, however long.
# ruff: noqa: E501

from __future__ import annotations

import re

# A phrase counts at most this often, so that a habit of speech does not outweigh everything else.
_AT_MOST = 3

# What an agent says. The weight is roughly how many times likelier the phrase is from an agent, as a logarithm.
AGENT_PHRASES: tuple[tuple[str, float], ...] = (
    # The greeting of a hotline.
    (r"(?:很)?高兴为[您你]服务|为[您你]服务|竭诚", 4.0),
    (r"有(?:什么|啥|何)(?:问题)?(?:可以|能|需要)(?:帮|为)|需要什么帮助|请问.{0,4}(?:帮到|帮助)", 4.0),
    (r"(?:这里|这边|我)是.{0,14}(?:客服|服务中心|服务热线|热线|售后|客户中心|客户服务|签约中心|营销中心|前台)(?!吗|吧|么|不|还)", 4.0),
    (r"^您?好?[，,\s]*.{0,10}(?:客服中心|服务中心|服务热线|签约中心|营销中心|客服部)(?!吗|吧|么|的|说|不)", 3.0),
    # He asks for the name, the number, the flat.
    (r"您贵姓|您怎么称呼|(?:请问)?(?:怎么|如何)称呼您?|您(?:的)?(?:名字|姓名|全名)", 3.5),
    (r"您(?:的|这边)?(?:是)?(?:哪个|哪一|哪套|几号|几栋|什么)?(?:联系电话|电话|手机|号码|联系方式|房号|楼栋|地址|楼盘|小区)", 2.5),
    (r"您?.{0,4}(?:是|在)哪(?:个|一)(?:楼盘|小区|项目|期|栋|套|户)|哪一?期的|哪个(?:小区|楼盘|项目|房号)", 2.5),
    (r"本机(?:号码)?吗|是本机|(?:电话|号码)(?:是|就是)?本机", 2.5),
    (r"请问(?:一下)?您|请问(?:是(?:什么|关于|哪|几|业主|本人)|具体|什么(?:问题|原因|情况|事)|哪|几)", 2.5),
    (r"方便(?:提供|说|留|告诉|透露)|麻烦您(?:提供|报|说|稍|留)|您(?:这边)?(?:能|可以)(?:提供|说|描述|报)", 2.5),
    # He lets the customer speak, and writes down.
    (r"您?请(?:讲|说)|您(?:慢慢)?(?:说|讲)(?:[。，,！!~]|$)|您别(?:着急|急|激动|生气)", 2.5),
    (r"(?:给|帮|为|替)(?:您|你|咱)(?:这边)?.{0,3}(?:登记|记录|记|反馈|反映|转|上报|提交|核实|查|看|安排|催|跟进|申请|升级|预约|派)", 3.5),
    (r"(?:我|我们|这边|我这边|这里)(?:先|会|马上|立即|立刻)?(?:给|帮|为|替)您", 2.5),
    (r"(?:我|我们)?(?:这边|这里)(?:先|会|已经?|马上|再)?(?:登记|记录|记|反馈|核实|跟进|上报|转达|查|看到|显示|受理)", 3.0),
    (r"(?:我|嗯)(?:先)?(?:记录|登记|记)(?:一下|下来|好|了)|已(?:经)?(?:登记|记录|受理|派单)|(?<!施)工单(?!位)", 2.5),
    (r"您(?:刚才|刚刚|所)?(?:反映|反馈|说|提到|投诉|描述)的(?:这个|情况|问题|事)|您的(?:诉求|问题|情况|心情|意见|投诉|要求|反馈)", 3.0),
    (r"理解您|抱歉让您|给您(?:带来|造成|添)|(?:非常|十分|实在|很)抱歉|深表歉意", 3.0),
    # What will happen, and the farewell.
    (r"(?:联系|回复|答复|回访|通知|致电|告知|打给)您|(?:与|和|跟)您(?:联系|沟通|对接|确认|预约)|给您(?:个|一个)?(?:回|答|打|电|结果)", 3.0),
    (r"(?:请|您)(?:您)?(?:稍等|稍候|耐心等|保持(?:电话|手机)|不要挂|别挂|放心|留意)", 2.5),
    (r"感谢您|谢谢您(?:的)?(?:来电|反馈|理解|配合|支持)|感谢(?:来电|致电)|祝您|您再见", 3.0),
    (r"还有(?:什么|其他|别的)(?:问题|需要|可以|要)|(?:对|给)(?:我|本次)的?服务.{0,6}(?:评价|打分)", 3.0),
    (r"工号(?!是?多少|是?几|呢|报|给|为?什么|啊)", 3.0),
    (r"(?:先生|女士|小姐|大姐|大哥|叔叔?|阿姨|婆婆|大爷)(?:您|你好|请|[，,。！!？?]|$)", 2.0),
    (r"^(?:好的|嗯|是的|对的|嗯嗯|好|嗯好的|是这样)[，,\s]*.{0,2}(?:先生|女士|小姐|大姐|叔|阿姨)", 2.0),
    (r"^(?:好的?|嗯|是的?|那|呃|啊)?[，,\s]*(?:先生|女士|小姐|大姐|阿姨|婆婆)(?!说|不|来|叫|那|在|是我)", 1.5),
    (r"您(?!好)", 1.0),
    (r"^那?您", 0.5),
    # He rings up himself, and says for whom and from where.
    (r"(?:请问)?是.{1,6}(?:先生|女士|小姐|阿姨|叔叔?|大哥|大姐|业主)(?:吗|吧|么)", 3.0),
    (
        r"我(?:这边|这里)?是.{0,12}(?:物业|开发商|置业中心|客户关系部|法务部|权证部|工程部|项目部|项目上|售后部?|财务室?|[^，。]{1,4}公司)的",
        2.5,
    ),
    (
        r"打扰(?:您)?(?:了|一下)?[，,]?(?:我们|我这边|这边|请问您|跟您)|耽误您|回访|满意度调查|约您|(?:想)?(?:跟|和)您(?:确认|核对|约|解释|说明)",
        1.5,
    ),
    # A department or a machine takes up the call.
    (
        r"^(?:喂)?[，,\s]*(?:[您你]好)?[，,\s]*(?!我|你)[^，。？?吗]{0,10}(?:部|室|科|中心|处|客服|热线|总机|前台)[，,\s]*(?:[您你]好)?[。，,！!]?$",
        3.0,
    ),
    (r"您当前排队|人工服务请按|(?:可能会)?被录音|服务请按|欢迎致电|请耐心等待", 4.0),
    # He asks for particulars and says what will be done.
    (
        r"(?:车牌|房|合同|收据|单|身份证|电话|手机)(?:号码?)(?:是)?(?:多少|有吗|报一下|告诉)|^(?:房号|几栋|哪栋|哪一栋|姓名|电话)[？?]?$",
        2.0,
    ),
    (r"您(?:接着|继续|先|慢慢)(?:说|讲)|您是.{0,5}(?:哪|什么)|您上次|您的(?:单子|报修|工单|订单|记录|单号)", 2.0),
    (r"(?:明天|后天|今天|下午|上午|马上).{0,6}(?:师傅|电工|工程师|维修).{0,3}(?:过去|上门|去看|去修)", 1.5),
    (r"我们(?:会)?(?:马上|尽快|这就).{0,3}(?:派人|安排|上门)", 3.0),
    (r"我(?:再|去|来|这就)(?:给您)?(?:催催|催一下|问问|查查|查一查|核实|确认)", 1.5),
    # English hotlines.
    (
        r"(?i)thank you for calling|thanks for calling|how (?:can|may) i (?:help|assist)|may i have your|let me (?:check|transfer|look)|"
        r"i(?:'ll| will) (?:register|log|file|forward)|your (?:name|phone|unit|complaint)|sorry (?:to hear|for the)|service desk|"
        r"good (?:morning|afternoon|evening),|(?:we|i)(?:'ll| will) (?:send|arrange|check|have (?:someone|a technician))|\b(?:sir|madam)\b|"
        r"(?:which|what) (?:block|unit|building|floor)",
        3.0,
    ),
)

# What a customer says.
CUSTOMER_PHRASES: tuple[tuple[str, float], ...] = (
    # His home, his purchase, his family.
    (
        r"(?:我|俺|咱|我们)(?:们)?"
        r"(?:家|屋|老公|老婆|爱人|孩子|儿子|女儿|妈|爸|媳妇|老伴|父亲|母亲|公公|婆婆|邻居|楼上|楼下)",
        3.0,
    ),
    (
        r"(?:我|俺|我们)(?:就)?(?:是|在|住|买|定|订|交|付|签|花|收房|收的|去年|今年|年初|前年|上个?月|昨天|前天|当时|当初|一直)"
        r"(?!这边|这里|客服|物业|项目|开发商|置业|法务|工程|售后|总台|你的(?:管家|顾问)|您的)",
        1.5,
    ),
    (r"我(?:的|这|那)(?:个|套|间)?(?:房子|房|钱|定金|首付|合同|车位|厨房|卫生间|阳台|墙|窗|门|电话|手机)", 2.5),
    (r"我(?:是|系).{0,12}(?:业主|栋|号楼|单元|室|幢|座)|我(?:姓|叫)(?!.{0,6}工号)", 2.0),
    # What he wants.
    (r"(?:我|俺)(?:现在|今天|就)?(?:是)?(?:要|想|得)(?:投诉|退|举报|反映|找你|起诉|维权|问|咨询|要回|见|一个|解)|(?:要|来)投诉", 3.0),
    (r"(?:给|退|还|赔)(?:给)?(?:我|俺)(?!们这边)|(?:给|要)(?:个|一个|我个)(?:说法|答复|交代|解释|方案)|你(?:给|帮)我", 2.5),
    (r"我(?:不|才不|可不)(?:要|接受|同意|管|签|认|想听|服|干|可能)|我受不了|我等不", 2.0),
    (r"(?:赶紧|赶快|马上|尽快|必须|今天)(?:给我|派人|来人|来修|处理|解决|退|修)|叫你们|让你们|喊你们", 2.0),
    (r"(?:请问|想问|问)(?:一下|下)?(?:你们|我|什么时候|为什么|为啥|怎么|这|那|啥|到底)", 1.5),
    (
        r"(?:想|麻烦|请|求|辛苦)(?:请)?(?:您|你)(?:一下)?.{0,4}(?:帮我|给我|再催|帮忙)|(?:您|你)(?:能不能)?(?:帮我|给我)(?:们)?(?:看|查|问|催|修|处理)",
        2.5,
    ),
    # How he speaks of the company.
    (r"你们(?!好)|贵公司|贵司", 2.0),
    (r"你(?!们|好|稍|放心)(?:说|看|听|算|知道|晓得|叫|骗|自己|别|这|那|讲|来|去|要|想|问|还|也|能不能|跟)", 1.2),
    (r"你(?:的)?工号|工号(?:是)?多少|叫什么名字.{0,4}(?:工号|投诉)|(?:你们)?(?:领导|经理|负责人)(?:电话|来|出来|呢|给我|接)", 3.0),
    (r"凭什么|什么态度|太(?:气人|过分|离谱|差|不像话|欺负)|忽悠|骗|糊弄|推(?:来推去|诿|脱)|踢皮球|不讲理|坑", 2.0),
    (r"(?:律师|起诉|法院|12345|一二三四五|曝光|媒体|记者|住建|报警|派出所|消协|仲裁|维权|上访|工商)", 1.5),
    (r"打了.{0,8}电话|等了|跑了|报修(?:了|过)?|没(?:有)?人(?:来|管|理|接|修)|没动静|到现在|拖(?:了|着|到)", 1.8),
    (r"(?:你们|他们|上次|之前|当初|那个).{0,8}(?:客服|人|师傅|销售|经理)?.{0,3}(?:跟我说|和我说|告诉我|答应我?|承诺|说)", 2.0),
    (r"终于(?:接|打通|有人)|(?:替|帮)我(?:女儿|儿子|爸|妈|老公|老婆|父母|爱人)", 2.0),
    # What is wrong, and how he says it.
    (r"漏|渗|裂|霉|锈|空鼓|脱落|掉(?:下|了|皮|砖)|堵|返味|开裂|起皮|塌|坏了|晃|冒泡|生锈|异味|甲醛|不热|不通", 0.8),
    (r"定金|订金|首付|违约金|涨价|多收|乱收费|差价|延期|交房|房产证|逾期", 0.6),
    (r"为什么|为啥|怎么回事|怎么(?:这样|办|能|还|就)|到底|究竟|啥时候|什么时候能", 1.2),
    (r"(?<!\d)1[3-9]\d{9}(?!\d)|[一幺][三四五六七八九][零〇一幺二两三四五六七八九 ]{9}", 1.5),
    (r"\d{1,3}(?:号楼|栋|幢|座)|[一二三四五六七八九十]{1,3}(?:号楼|栋|幢)|\d{1,2}-\d{1,2}-\d{3,4}|单元", 1.0),
    (r"^喂[，,！!\s]|^(?:喂|哎|唉)", 0.7),
    (
        r"(?i)\bmy (?:house|home|apartment|flat|unit|bathroom|kitchen|wall|deposit|contract|parking)|i(?:'d| would)? (?:want|like|need) to "
        r"(?:complain|report|cancel|ask)|i bought|refund|in my (?:bed|bath|living|kitchen)|nobody (?:came|comes|answers)|you people|still waiting|my name is",
        2.5,
    ),
)

_AGENT = tuple((re.compile(pattern, re.MULTILINE), weight) for pattern, weight in AGENT_PHRASES)
_CUSTOMER = tuple((re.compile(pattern, re.MULTILINE), weight) for pattern, weight in CUSTOMER_PHRASES)

# An hour of one person is less; what comes after could not change the score.
_LONGEST = 20_000


# What somebody says that the other side has said is no sign of who he is: 你们客服跟我说，先生您放心.
_QUOTES = re.compile(r"(?:你们|他们|上次|之前|当初).{0,12}?(?:说|承诺|答应)[，,：:\s]{0,2}[^。！？!?\n]{0,30}")


def scores(text: str) -> tuple[float, float]:
    """How much the text sounds like an agent, and how much like a customer; 0 where nothing tells."""
    text = text[:_LONGEST]
    return _sum(_AGENT, _QUOTES.sub("", text)), _sum(_CUSTOMER, text)


def leaning(text: str) -> float:
    """The agent's score less the customer's: above 0 an agent, below 0 a customer."""
    agent, customer = scores(text)
    return agent - customer


def _sum(phrases: tuple[tuple[re.Pattern[str], float], ...], text: str) -> float:
    """The weights of the phrases that occur, each as often as it occurs, up to the limit."""
    total = 0.0
    for pattern, weight in phrases:
        for count, _ in enumerate(pattern.finditer(text), start=1):
            total += weight
            if count == _AT_MOST:
                break
    return total


_OPENS = re.compile(r"(?:喂)?[，,\s]*(?:[您你]好){1,2}[，,。！!\s]*(?:请讲|请说|您讲|讲|听得到吗)?[。！!？?]?|(?:喂|说|讲|在)[。！!？?]?")


def opens(text: str) -> bool:
    """Whether these are the few words of one who takes up the telephone: 您好, 您好请讲."""
    return _OPENS.fullmatch(text.strip()) is not None


_INVITES = re.compile(r"[？?]\s*$|(?:吗|呢|么|贵姓|称呼|请讲|请说|您说|多少|哪里|什么)[。.，,]?\s*$")
_MERE_ASSENT = re.compile(r"(?:[嗯啊哦好对是行呃喂][的嗯啊好对呀是]{0,2}[，,。.！!\s]*){1,3}")


def invites(text: str) -> bool:
    """Whether the text hands the word to the other: a question, or 请讲."""
    return _INVITES.search(text) is not None


def short_question(text: str) -> bool:
    """Whether the text is a short question, such as either party may put to the other."""
    return len(text) <= 14 and invites(text)


def mere_assent(text: str) -> bool:
    """Whether the text is only 嗯 or 好的, which anybody may say."""
    return len(text) <= 12 and _MERE_ASSENT.fullmatch(text) is not None
