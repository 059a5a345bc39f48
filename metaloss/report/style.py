"""The frame of the page, and its style."""

from __future__ import annotations

from string import Template

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="metaloss $version">
<meta name="folders" content="$folders">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p>$about</p>
<nav aria-label="Sections">$links</nav>
</header>
<main>
$sections
</main>
</body>
</html>
""")
"""The page. All that is put in is HTML."""

# Pictures lie on a light panel in both themes: what the drawing code draws in black stays black.
STYLE = """\
:root{--ink:#1d2730;--soft:#5b6873;--paper:#fff;--panel:#fff;--rule:#d9dfe4;--fold:#f4f6f8;\
--link:#005a8c;--wrong:#a8430f}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ed;--soft:#a3afb9;--paper:#14191e;\
--panel:#f3f5f6;--rule:#36414b;--fold:#1d242b;--link:#7cc0ef;--wrong:#f0a07c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:78rem;padding:1rem 1.25rem 4rem;background:var(--paper);\
color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;\
overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule)}
p,li{max-width:46rem}
header p,figcaption,.caption,section>p,details>p{color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem}
a{color:var(--link)}
.wide{overflow-x:auto;margin:.35rem 0 .75rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.caption{margin:1rem 0 0;font-size:.95rem}
th,td{padding:.3rem .8rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
th:first-child{text-align:left;padding-left:0;white-space:normal;min-width:7rem}
th{font-weight:500}
thead th{color:var(--soft);vertical-align:bottom}
strong{font-weight:700}
small{color:var(--soft)}
#environment td,#environment thead th{white-space:normal;text-align:left}
#warnings li{margin:.4rem 0}
.confusion td,.confusion thead th{text-align:center;padding:.15rem .1rem;min-width:2.3rem;\
font-size:.85rem}
.confusion td{border:1px solid var(--paper);background:var(--fold)}
.confusion th:first-child{position:sticky;left:0;background:var(--paper);max-width:11rem;\
padding:.15rem .6rem .15rem 0;min-width:3rem;overflow-wrap:break-word;text-align:left}
.confusion thead th span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:12rem;\
overflow:hidden}
@media (max-width:600px){.confusion td,.confusion thead th{min-width:1.5rem;font-size:.72rem;\
padding:.15rem 0}.confusion th:first-child{max-width:6.5rem;font-size:.8rem;line-height:1.2}}
.samples{display:grid;grid-template-columns:repeat(8,minmax(0,1fr));gap:1rem .75rem;\
margin:.75rem 0}
@media (max-width:900px){.samples{grid-template-columns:repeat(6,minmax(0,1fr))}}
@media (max-width:600px){.samples{grid-template-columns:repeat(3,minmax(0,1fr))}}
.samples img{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:#000;\
border-radius:4px}
.samples span{display:block}
.given{color:var(--wrong)}
.suggested{color:var(--link)}
code{background:var(--fold);padding:.1rem .35rem;border-radius:4px;\
font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));\
gap:1rem;margin:.75rem 0}
figure{margin:0}
figure>svg{display:block;width:100%;height:auto;background:var(--panel);\
border:1px solid var(--rule);border-radius:6px}
figure>svg *{stroke-linejoin:round;stroke-linecap:butt}
figcaption{font-size:.85rem;line-height:1.4;margin-top:.3rem}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;border:1px solid var(--rule);\
border-radius:6px;padding:.4rem .8rem;margin:.75rem 0;min-width:0}
.legend legend{color:var(--soft);font-size:.9rem;padding:0 .4rem}
.legend span{display:inline-flex;align-items:center;gap:.4rem}
.legend label{cursor:pointer;display:inline-flex;align-items:center;gap:.4rem}
.swatch{flex:none;width:1.9rem;height:1.1rem;background:var(--panel);border-radius:3px}
details{border:1px solid var(--rule);border-radius:6px;margin:.75rem 0;padding:.4rem .9rem}
summary{cursor:pointer;font-weight:600}
pre{overflow:auto;max-height:36rem;background:var(--fold);padding:.8rem;border-radius:6px;\
font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:normal}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
@media print{details{break-inside:avoid}figure{break-inside:avoid}}
"""
"""The style, for light and dark."""
