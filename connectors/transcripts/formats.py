"""Which formats are read, in the order in which they are tried: one literal table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.transcripts import (
    aliyun_isi,
    aliyun_paraformer,
    aws,
    azure,
    deepgram,
    funasr,
    google,
    huawei,
    iflytek,
    spoken_text,
    srt,
    table,
    tencent,
    vcon,
    volcengine,
    webvtt,
    whisper,
    wtf,
)
from connectors.transcripts.base import Transcript


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `recognise` and `read` take the parsed JSON, or for the formats that are text the text itself."""

    name: str
    recognise: Callable[[Any], bool]
    read: Callable[[Any], Transcript]


# The first row that recognises a document reads it, so what is more particular stands above what is more general.
FORMATS: Sequence[Format] = (
    # A vCon carries other formats inside, so it is looked for before them.
    Format("vcon", vcon.recognise, vcon.read),
    # Its `transcript` object and required `segments` set it apart from Whisper's segments below.
    Format("wtf", wtf.recognise, wtf.read),
    # The status code of eight digits; both callbacks too, the older of which has a `result` list as Volcengine has.
    Format("aliyun_isi", aliyun_isi.recognise, aliyun_isi.read),
    # The file behind transcription_url, and the task's answer that names it.
    Format("aliyun_paraformer", aliyun_paraformer.recognise, aliyun_paraformer.read),
    # Versions 1 and 2, told apart in the reader.
    Format("iflytek_lfasr", iflytek.recognise, iflytek.read),
    # With and without `ResultDetail`.
    Format("tencent_asr", tencent.recognise, tencent.read),
    # Its four upper-case states.
    Format("huawei_sis", huawei.recognise, huawei.read),
    # Before AWS and Google, whose `results` have channels too but no alternatives in them.
    Format("deepgram", deepgram.recognise, deepgram.read),
    # `results` with items and transcripts, and Call Analytics.
    Format("aws_transcribe", aws.recognise, aws.read),
    # `recognizedPhrases`.
    Format("azure_batch", azure.recognise_batch, azure.read_batch),
    # `phrases`, under the preview's names and the released ones.
    Format("azure_fast", azure.recognise_fast, azure.read_fast),
    # `results` with alternatives, and operations.
    Format("google_stt", google.recognise, google.read),
    # `result` as a list or an object, with utterances.
    Format("volcengine", volcengine.recognise, volcengine.read),
    # Segments in seconds; before FunASR and the turns below, whose lists look alike but for their times.
    Format("whisper", whisper.recognise, whisper.read),
    # Sentences in milliseconds, or a list of results.
    Format("funasr", funasr.recognise, funasr.read),
    # Our own `jiesu inspect transcript`, and what a call centre's programmer writes by hand.
    Format("turns_json", table.recognise_json, table.read_json),
    # From here on texts. The first line names it.
    Format("webvtt", webvtt.recognise, webvtt.read),
    # A line of times with an arrow.
    Format("srt", srt.recognise, srt.read),
    # The first line names the columns.
    Format("csv", table.recognise_csv, table.read_csv),
    # Whatever else is text; last, because it takes everything.
    Format("text", spoken_text.recognise, spoken_text.read),
)
