"""Text that breaks what does not expect it. All of it is valid Unicode; what is not is in `BROKEN_TEXTS`."""

# ruff: noqa: E501, RUF001 - a table; what looks alike is meant to

from __future__ import annotations

import unicodedata

_CATEGORIES = sorted({unicodedata.category(chr(point)) for point in range(0x11000)} - {"Cs", "Cn"})


def _first_of(category: str) -> str:
    points = (point for point in range(1, 0x110000) if unicodedata.category(chr(point)) == category)
    return chr(next(points))


_TEXTS = [
    # one character of every category of Unicode, alone and inside
    *(_first_of(category) for category in _CATEGORIES),
    *(f"a{_first_of(category)}b" for category in _CATEGORIES),
    # white space and invisible
    " ", "  x  ", "\t", "\n", "\r\n", "a\nb", "\x0b", "\x0c", "\x1b[31m", "\x7f", "\x85", "\xa0", "\u1680", "\u180e",
    "\u2003", "\u2028", "\u2029", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "a\ufeff", "\u3164", "\u00ad",
    "\u034f", "\u061c", "\ufff9", "\ufffc", "\ufffd", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff", "\ue000",
    # direction
    "\u202e", "\u202eabc\u202c", "\u2066a\u2069", "\u200fשלום", "مرحبا بالعالم", "ثم نفس سقطت", "בְּרֵאשִׁית",
    # combining and width
    "e\u0301", "\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢", "\u1112\u1161\u11ab", "ﷺ", "ǅ", "ﬁ", "½", "①", "ａｄｍｉｎ", "Ａ", "٣", "१२३",
    "ß", "İ", "ı", "ſ", "K", "Å", "Ω", "ΐ", "ŉ",
    # emoji
    "😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏿", "🇺🇳🇷🇺", "1️⃣", "❤️", "🧑🏽‍🚀", "\U000e0001\U000e007f",
    # scripts
    "田中さんにあげて下さい", "パーティーへ行かないか", "和製漢語", "사회과학원", "찦차를", "울란바토르", "Ⱥ", "Ð", "ᚠᛇᚻ", "ⰀⰁⰂ",
    "𠜎𠜱𠝹", "𝕳𝖊𝖑𝖑𝖔", "ʇunpıpıɔuı", "Ѐлександр", "ไทย", "தமிழ்",
    # databases
    "'", '"', "''", "`", ";", "--", "/*", "' OR '1'='1", "1; DROP TABLE accounts_account; --", "' UNION SELECT NULL--",
    "\\'", "\\", "\\\\", "%", "%%", "_", "%_%", "%s", "%(x)s", "%d%n", "{0}", "{}", "{x.__class__}", "$1", "?", ":name",
    "E'\\x00'", "pg_sleep(10)", "randomblob(1000000000)", "U&'\\0000'", "\\x00", "\\0", "x'00'", "$$", "COPY x FROM '/'",
    # markup, templates, shells, directories, logs
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;", "&#0;", "]]>", "<!--", "<!ENTITY x SYSTEM 'x'>",
    "{{ 7*7 }}", "{% debug %}", "${7*7}", "#{7*7}", "${jndi:ldap://x.example/a}", "$(id)", "`id`", "| cat /etc/passwd",
    "*)(uid=*))(|(uid=*", "cn=admin,dc=x", "../../etc/passwd", "..\\..", "/etc/passwd", "file:///etc/passwd", "//x.example",
    "javascript:alert(1)", "data:text/html,x", "http://169.254.169.254/", "a\r\nX-Evil: 1", '", "admin": true, "x": "',
    # words and numbers that mean something elsewhere
    "null", "undefined", "None", "true", "NaN", "Infinity", "-Infinity", "-0", "0x10", "1e309", "1E400", "00", "08",
    "9223372036854775808", "1/0", "__proto__", "constructor", "toString", "hasOwnProperty", "CON", "NUL", "id", "name",
    "*", "all", "me", "self", "0001-01-01T00:00:00Z", "=1+1", "@SUM(1)", "+1", "-1", ".", "..", "/", "//", "#", "&", "&&",
    # escapes that stay as they are
    "\\u0000", "\\ud800", "%00", "%ED%A0%80", "%c0%af", "\\n", "&nbsp;", "\x01", "\x02\x03\x04", "\x1f", "\x08", "\x80",
    # long
    "x" * 128, "x" * 129, "x" * 254, "x" * 255, "é" * 255, "😀" * 255, "x" * 256, "😀" * 256, "e\u0301" * 128, "x" * 4096,
]  # fmt: skip
NAUGHTY = list(dict.fromkeys(_TEXTS))

# Bytes of a JSON string that are no text: each is refused wherever it stands.
BROKEN_TEXTS: list[bytes] = [
    b"\\u0000", b"a\\u0000b", b"\\ud800", b"\\udc00", b"\\udfff\\ud800", b"\\ud83d", b"\\ud83dx", b"\\uD800\\u0041",
    b"\x00", b"\x01", b"\x1f", b"\n", b"\xff", b"\xfe\xff", b"\xc0\xaf", b"\xc0\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\x80", b"\xbf",
    b"\\x41", b"\\u12", b"\\", b"\\U00000041", b'"',
]  # fmt: skip
