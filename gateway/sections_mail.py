"""The settings of outgoing mail, `[mail]`: by which server answers to customers leave, from whom, and how many."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.sections import Count, Port, Seconds, Section, Wrong, _key

# An address as it stands in a setting: nothing but what every mail server takes (RFC 5321 4.1.2, without quoted local parts).
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _address(value: str) -> str:
    if value and not _ADDRESS.fullmatch(value):
        raise Wrong("不是邮件地址，例如 tousu@example.com", "is no mail address; write e.g. tousu@example.com")
    return value


def _addresses(values: list[str]) -> list[str]:
    for value in values:
        if not value or not _ADDRESS.fullmatch(value):
            raise Wrong(f"“{value}” 不是邮件地址，例如 tousu@example.com", f"'{value}' is no mail address; write e.g. tousu@example.com")
    return values


def _host(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9_.:-]{1,253}", value):
        raise Wrong("不是主机名，例如 smtp.example.com", "is no host name; write e.g. smtp.example.com")
    return value


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise Wrong("只能写一行", "must be one line")
    return value


Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[list[str], AfterValidator(_addresses)]
Host = Annotated[str, AfterValidator(_host)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]


class Mail(Section):
    """Outgoing mail: answers to customers."""

    enabled: bool = _key(
        False, "是否用邮件答复顾客；需先填 host 和 from_address", "whether customers are answered by mail; wants host and from_address"
    )
    host: Host = _key("", "发信服务器，如 smtp.exmail.qq.com", "the submission server, e.g. smtp.exmail.qq.com")
    port: Port = _key(587, "发信端口：STARTTLS 一般 587，隐式 TLS 一般 465", "its port: 587 for STARTTLS, 465 for implicit TLS as a rule")
    tls: Literal["none", "starttls", "implicit"] = _key(
        "starttls", "加密方式：starttls、implicit 或 none（仅限本机）", "starttls, implicit, or none (this machine only)"
    )
    tls_ca: str = _key(
        "",
        "发信服务器证书的签发机构（PEM 文件，相对于数据目录）；留空用系统自带的",
        "who signs the server's certificate (PEM file, relative to the home); empty: whom the system trusts",
    )
    username: Line = _key("", "登录名；留空则不登录", "name to log in with; empty: no login")
    password: str = _key(
        "", "口令或授权码；留空则读 secrets/mail.password", "password or app password; empty: read from secrets/mail.password"
    )
    from_address: Address = _key("", "发件地址，也是顾客回信的地址", "address that answers come from and replies go to")
    from_name: Line = _key("", "发件人名称；留空用 company", "name beside it; empty: company")
    other_addresses: Addresses = _key(
        [], "本公司其他收信地址；来自它们的邮件从不自动答复", "other addresses of yours; mail from them is never answered by itself"
    )
    plus_addresses: bool = _key(
        False,
        "收信服务器是否支持 tousu+…@ 这样的地址；支持则回信地址带签名",
        "whether your mail server takes tousu+…@ for tousu@; then the reply address carries the signed token",
    )
    reply_secret: str = _key(
        "",
        "回信标记的签名密钥，多节点须相同；留空则自动生成于 secrets/reply.secret",
        "secret that signs reply tokens, the same on all nodes; empty: made and kept in secrets/reply.secret",
    )
    timeout_seconds: Annotated[Seconds, Field(le=60)] = _key(30, "每封信最多等多久（秒）", "seconds until one try of one mail is given up")
    most_per_hour: Count = _key(3, "每个地址每小时最多几封受理回执", "most acknowledgements to one address in an hour")
    most_per_day: Count = _key(10, "每个地址每天最多几封受理回执", "most acknowledgements to one address in a day")
    company: Line = _key("客户服务中心", "公司名称，用于模板 $company", "your company's name, `$company` in templates")
    phone: Line = _key("", "客服电话，用于模板 $phone；留空则略去该行", "your phone, `$phone` in templates; empty: its line is left out")
