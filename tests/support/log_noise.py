"""What happens to a log on its way: each function does one thing to a text that changes no word."""

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


def coloured(text):
    return text.replace("o", "\x1b[31mo\x1b[0m").replace("error", "\x1b[1;31merror\x1b[m\x1b[K")


def colours_without_escape(text):
    return _each_line(text, "[0;31m", "[0m")


def terminal(text):
    return _wrapped(text, 80)


def narrow_terminal(text):
    return _wrapped(text, 37)


def continued(text):
    return _wrapped(text, 79, end="\\")


def editor(text):
    lines = (
        textwrap.wrap(line, 72, subsequent_indent="        ", break_long_words=False)
        for line in text.splitlines()
    )
    return "\n".join("\n".join(line) for line in lines)


def quoted(text):
    return _wrapped(text, 76, prefix="> ")


def quoted_twice(text):
    return _wrapped(text, 72, prefix="> > ")


def service(text):
    return _each_line(text, "2026-11-22T10:11:12.1234567Z ")


def wrapped_service(text):
    return _wrapped(text, 100, prefix="2026-11-22 10:11:12,345 [stderr] ")


def compose(text):
    return _wrapped(text, 90, prefix="converter_1  | ")


def worker(text):
    return _each_line(text, "[worker-3] 10:11:12 INFO - ")


def glog(text):
    return _each_line(text, "E1122 10:11:12.123456  4711 ")


def numbered(text):
    return "\n".join(f"{n:5}: {line}" for n, line in enumerate(text.splitlines(), 1))


def runner(text):
    return _each_line(text, "E       ")


def boxed(text):
    lines = _wrapped(text, 74).splitlines()
    return "\n".join(f"│ {line:<74} │" for line in lines)


def web_page(text):
    return html.escape(text).replace("\n", "<br>\n")


def marked_up(text):
    return text.replace("as", "<b>as</b>").replace("op", '<span class="hl">op</span>')


def json_string(text):
    return json.dumps({"level": "error", "text": text})


def json_in_json(text):
    return json.dumps(json_string(text))


def printed_bytes(text):
    return repr(text.encode())


def windows(text):
    return text.replace("\n", "\r\n")


def old_mac(text):
    return text.replace("\n", "\r")


def power_shell(text):
    return ("\ufeff" + windows(text)).encode("utf-16-le")


def utf_16_read_byte_by_byte(text):
    return text.encode("utf-16-le").decode("latin-1")


def curly_quotes(text):
    return text.replace("'", "\u2019").replace('"', "\u201c")


def backticks(text):
    return text.replace("'", "`")


def zero_width(text):
    return text.replace("e", "e\u200b")


def shouted(text):
    return text.upper()


def in_the_middle(text):
    return "before\n" * 500 + text + "after\n" * 500


NOISES = (
    coloured,
    colours_without_escape,
    terminal,
    narrow_terminal,
    continued,
    editor,
    quoted,
    quoted_twice,
    service,
    wrapped_service,
    compose,
    worker,
    glog,
    numbered,
    runner,
    boxed,
    web_page,
    marked_up,
    json_string,
    json_in_json,
    printed_bytes,
    windows,
    old_mac,
    power_shell,
    utf_16_read_byte_by_byte,
    curly_quotes,
    backticks,
    zero_width,
    shouted,
    in_the_middle,
)
