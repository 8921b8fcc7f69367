"""What happens to a log on its way: each does one thing to a text that changes no word."""

import html
import json
import textwrap


def _wrapped(text, width, prefix="", end=""):
    """Break every line at a fixed column, as a terminal does, also in the middle of a word."""
    lines = []
    for line in text.splitlines():
        pieces = [line[i : i + width] for i in range(0, len(line), width)] or [""]
        lines += [piece + end for piece in pieces[:-1]] + pieces[-1:]
    return "\n".join(prefix + line for line in lines)


def _each_line(text, prefix, end=""):
    return "\n".join(f"{prefix}{line}{end}" for line in text.splitlines())


def _coloured(text):
    return text.replace("o", "\x1b[31mo\x1b[0m").replace("error", "\x1b[1;31merror\x1b[m\x1b[K")


def _editor(text):
    options = {"subsequent_indent": "        ", "break_long_words": False}
    return "\n".join("\n".join(textwrap.wrap(it, 72, **options)) for it in text.splitlines())


def _numbered(text):
    return "\n".join(f"{n:5}: {line}" for n, line in enumerate(text.splitlines(), 1))


def _boxed(text):
    return "\n".join(f"│ {line:<74} │" for line in _wrapped(text, 74).splitlines())


def _json_string(text):
    return json.dumps({"level": "error", "text": text})


def _windows(text):
    return text.replace("\n", "\r\n")


NOISES = {
    "colored": _coloured,
    "colors without escape": lambda text: _each_line(text, "[0;31m", "[0m"),
    "terminal": lambda text: _wrapped(text, 80),
    "narrow terminal": lambda text: _wrapped(text, 37),
    "continued": lambda text: _wrapped(text, 79, end="\\"),
    "editor": _editor,
    "quoted": lambda text: _wrapped(text, 76, prefix="> "),
    "quoted twice": lambda text: _wrapped(text, 72, prefix="> > "),
    "service": lambda text: _each_line(text, "2026-11-22T10:11:12.1234567Z "),
    "wrapped service": lambda text: _wrapped(text, 100, prefix="2026-11-22 10:11:12,345 [stderr] "),
    "compose": lambda text: _wrapped(text, 90, prefix="converter_1  | "),
    "worker": lambda text: _each_line(text, "[worker-3] 10:11:12 INFO - "),
    "glog": lambda text: _each_line(text, "E1122 10:11:12.123456  4711 "),
    "numbered": _numbered,
    "pytest": lambda text: _each_line(text, "E       "),
    "boxed": _boxed,
    "web page": lambda text: html.escape(text).replace("\n", "<br>\n"),
    "web page in a web page": lambda text: html.escape(html.escape(text)),
    "marked up": lambda text: text.replace("as", "<b>as</b>").replace("op", "<em>op</em>"),
    "JSON": _json_string,
    "JSON in JSON": lambda text: json.dumps(_json_string(text)),
    "printed bytes": lambda text: repr(text.encode()),
    "Windows": _windows,
    "an old Mac": lambda text: text.replace("\n", "\r"),
    "PowerShell": lambda text: ("\ufeff" + _windows(text)).encode("utf-16-le"),
    "UTF-16 read byte by byte": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "curly quotes": lambda text: text.replace("'", "\u2019").replace('"', "\u201c"),
    "backticks": lambda text: text.replace("'", "`"),
    "zero width": lambda text: text.replace("e", "e\u200b"),
    "shouted": str.upper,
    "in the middle": lambda text: "before\n" * 500 + text + "after\n" * 500,
}
