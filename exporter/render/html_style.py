"""The style of the HTML document that stands alone: light and dark by the reader's wish, and print."""

STYLE = """\
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f3f5f7; --text: #1b1f24; --faint: #57606a;
  --accent: #0a5cc2; --warn: #9a3412; --good: #116329; }
@media (prefers-color-scheme: dark) { :root { --line: #3a424c; --soft: #1d2229; --text: #e3e8ee; --faint: #a1abb7;
  --accent: #7db5ff; --warn: #ffa777; --good: #7ee08f; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; color: var(--text);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
h4 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
h4 small, .where, footer { color: var(--faint); font-weight: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 1rem; }
dt { color: var(--faint); max-width: 16rem; }
dd { margin: 0; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
code { background: var(--soft); border-radius: 3px; padding: .1em .3em; unicode-bidi: isolate; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 5px; padding: .7rem .9rem;
  overflow-x: auto; }
pre code { background: none; padding: 0; font-size: 1em; }
pre.message { white-space: pre-wrap; }
li { margin: .4rem 0; }
p { margin: .4rem 0; }
.title { font-weight: 600; }
.where { border: 1px solid var(--line); border-radius: 1em; padding: .05em .6em; font-size: .85em; }
.general { border-left: 3px solid var(--accent); padding-left: .8rem; }
.breaks b { color: var(--warn); }
strong.fits { color: var(--good); }
.priority-emergency .priority, .priority-alert .priority, .priority-critical .priority,
.priority-error .priority { color: var(--warn); font-weight: 600; }
a { color: var(--accent); }
article + article { margin-top: 3rem; border-top: 3px double var(--line); padding-top: 2rem; }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; } pre { white-space: pre-wrap; }
  article + article { break-before: page; } h2, h3, h4, .title { break-after: avoid; }
  a::after { content: " (" attr(href) ")"; font-size: .85em; } }
"""
