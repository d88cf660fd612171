"""Settings of what becomes of calls, and of the bucket that they may be fetched from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.sections import Count, Seconds, Section, WebAddress, _key


class Phone(Section):
    """What becomes of calls."""

    join_days: Annotated[float, Field(ge=0, le=366, allow_inf_nan=False)] = _key(
        14,
        "同一来电号码在多少天内就同一事项再次来电时并入原投诉；0 为从不",
        "a call of the same number about the same matter joins the complaint of so many days before; 0: never",
    )
    max_body_bytes: Count = _key(26_214_400, "通过接口送来的一份转写的上限（字节）", "largest transcript that the API takes, in bytes")


class Bucket(Section):
    """A bucket of an S3-compatible store that transcripts are fetched from."""

    enabled: bool = _key(False, "是否从对象存储收取转写文件", "whether transcripts are fetched from a bucket")
    endpoint: WebAddress = _key(
        "",
        "对象存储地址，如 https://oss-cn-hangzhou.aliyuncs.com；留空为 AWS",
        "address of the store, e.g. https://oss-cn-hangzhou.aliyuncs.com; empty: AWS",
    )
    region: str = _key("us-east-1", "区域", "region")
    name: str = _key("", "存储桶名称", "name of the bucket")
    prefix: str = _key("", "只看此前缀下的对象，如 calls/", "only objects under this prefix, e.g. calls/")
    virtual_hosted: bool = _key(
        False, "存储桶写在主机名里（阿里云、腾讯云需要）", "the bucket stands in the host name (Aliyun and Tencent want that)"
    )
    keys_file: str = _key(
        "bucket.keys",
        "密钥文件，位于 secrets/：第一行访问密钥 ID，第二行密钥；没有此文件则不签名",
        "file in secrets/ with the access key id in its first line and the secret in its second; without it requests are not signed",
    )
    poll_seconds: Seconds = _key(30, "查看间隔（秒）", "seconds between looks")
    after: Literal["leave", "move", "delete"] = _key(
        "leave",
        "收取后：leave 留在原处（由台账记住）、move 移到 done/ 之下、delete 删除",
        "afterwards: leave it (the ledger remembers), move it under done/, or delete it",
    )
    max_bytes: Count = _key(26_214_400, "单个对象上限（字节）", "largest object, in bytes")
