"""Text in, `Verdict` out: sorts a complaint into the classes of 预案 二 and says why; knows nothing of mail, HTTP or databases."""
