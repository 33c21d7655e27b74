"""The one style sheet of pages and pictures: light and dark, screen and paper. No address in it."""

from __future__ import annotations

from osler.report.markup import Html

#: Colours, each at least 4.5 : 1 on its ground where it carries text (light ground #fffdf9, dark ground #15181c).
_COLOURS = """
:root{--ground:#fffdf9;--raised:#f5f2ea;--ink:#1d2329;--soft:#555d66;--rule:#d8d3c7;--c1:#1f5a8a;--c2:#a34a00;--c3:#1d6b57;--c4:#7a3b78;
--c5:#6a5a10;--good:#1d6b42;--bad:#a6262b;--unsure:#7d5600;--goodground:#e7f2ea;--badground:#fbe9e8;--unsureground:#fbf2dc;
--low1:#e4eef7;--low2:#c6ddef;--low3:#9cc6e4;--low4:#6ca9d6;--low5:#3f87c1;--up1:#fbebdb;--up2:#f9d6b1;--up3:#f3b87d;--up4:#ea9448;--up5:#d5721c}
@media (prefers-color-scheme:dark){:root{--ground:#15181c;--raised:#1e2329;--ink:#e8e6e1;--soft:#a9b0b8;--rule:#3a424b;--c1:#7db6e6;
--c2:#f0a060;--c3:#6fcbb0;--c4:#d49ad2;--c5:#d8c563;--good:#7fd19b;--bad:#ff9d97;--unsure:#efc46a;--goodground:#1b2c22;
--badground:#351f20;--unsureground:#332a17;--low1:#1d2a36;--low2:#203c54;--low3:#245274;--low4:#296894;--low5:#2f80b8;
--up1:#33291f;--up2:#4e3620;--up3:#6e4720;--up4:#945a20;--up5:#b86b1f}}
"""

#: What pictures need; also written into every stand-alone SVG.
_PICTURE = """
svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
svg text{fill:var(--ink);font-size:12px}svg .soft{fill:var(--soft)}svg .small{font-size:11px}svg .strong{font-weight:600}
svg .frame{stroke:var(--rule);fill:none}svg .grid{stroke:var(--rule);stroke-width:.6}svg .axis{stroke:var(--soft);fill:none}
svg .ideal{stroke:var(--soft);stroke-dasharray:2 3;fill:none}svg .s1{stroke:var(--c1)}svg .s2{stroke:var(--c2)}svg .s3{stroke:var(--c3)}
svg .s4{stroke:var(--c4)}svg .s5{stroke:var(--c5)}svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .d2{stroke-dasharray:7 3}svg .d3{stroke-dasharray:2 2}svg .d4{stroke-dasharray:9 3 2 3}svg .d5{stroke-dasharray:4 4}
svg .f1{fill:var(--c1)}svg .f2{fill:var(--c2)}svg .f3{fill:var(--c3)}svg .f4{fill:var(--c4)}
svg .f5{fill:var(--c5)}svg .band{opacity:.16;stroke:none}svg .whisker{stroke:var(--c1);stroke-width:1.5}svg .over{stroke:var(--ink);stroke-width:1.5}svg .box{fill:var(--raised);stroke:var(--rule)}
svg .mol{stroke:var(--ink);fill:none;stroke-width:1.6;stroke-linecap:round}svg .wedge{stroke:var(--ink);fill:var(--ink);stroke-width:.5}
svg .wave{stroke-width:.7}svg .letter{fill:var(--ink)}svg .atomnote{fill:var(--ink)}svg .none{fill:var(--raised)}
svg .low1{fill:var(--low1)}svg .low2{fill:var(--low2)}svg .low3{fill:var(--low3)}svg .low4{fill:var(--low4)}svg .low5{fill:var(--low5)}
svg .up1{fill:var(--up1)}svg .up2{fill:var(--up2)}svg .up3{fill:var(--up3)}svg .up4{fill:var(--up4)}svg .up5{fill:var(--up5)}
svg .arrow{stroke:var(--soft);fill:none}svg .tip{fill:var(--soft)}svg .end{text-anchor:end}svg .mid{text-anchor:middle}
"""

_PAGE = """
*{box-sizing:border-box}html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.skip{position:absolute;left:-99em}.skip:focus{left:1em;top:1em;background:var(--ground);padding:.5em 1em;z-index:9}
header,main,footer,nav{max-width:66rem;margin:0 auto;padding:0 1.5rem}header{padding-top:2.5rem}
h1{font:600 2.1rem/1.2 Georgia,"Times New Roman",serif;margin:.2em 0 .3em;overflow-wrap:anywhere}
h2{font:600 1.4rem/1.3 Georgia,"Times New Roman",serif;margin:2.6rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--rule)}
h3{font-size:1.05rem;margin:1.6rem 0 .4rem}p,li,dd{max-width:46rem;overflow-wrap:anywhere}a{color:var(--c1)}
.kicker{color:var(--soft);margin:0;font-size:.9rem;letter-spacing:.02em}.lead{font-size:1.15rem;margin:.2em 0 1.2em}
nav{padding:0}.bar{max-width:66rem}nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.9rem;margin:1rem 0}
.answer{display:flex;flex-wrap:wrap;gap:1px;background:var(--rule);border:1px solid var(--rule);
margin:1.2rem 0}.answer>div{flex:1 1 13.5rem;background:var(--ground);padding:.8rem 1rem}.answer .what{color:var(--soft);font-size:.85rem;margin:0}
.answer .figure{font:600 1.55rem/1.25 Georgia,"Times New Roman",serif;margin:.1rem 0;font-variant-numeric:tabular-nums}
.answer .how{font-size:.85rem;margin:0;color:var(--soft)}
.seal{border:1px solid var(--rule);border-left:6px solid var(--unsure);padding:1rem 1.25rem;margin:1rem 0;background:var(--unsureground)}
.seal.clean{border-left-color:var(--good);background:var(--goodground)}.seal.violated{border-left-color:var(--bad);background:var(--badground)}
.seal p{margin:.2rem 0}.seal .verdict{font:600 1.3rem/1.3 Georgia,"Times New Roman",serif}
.clean .mark,.mark.clean{color:var(--good)}.violated .mark,.mark.violated{color:var(--bad)}.mark.unknown{color:var(--unsure)}.mark{font-weight:700;white-space:nowrap}
.box{border-left:4px solid var(--unsure);background:var(--unsureground);padding:.6rem 1rem;margin:1rem 0}.box p{margin:.2rem 0}
.scroll{overflow-x:auto;margin:1rem 0 .4rem}table{border-collapse:collapse;font-size:.9rem;line-height:1.4;min-width:min(100%,28rem)}
caption{text-align:left;font-weight:600;padding:.2rem 0 .4rem}th,td{padding:.32rem .8rem .32rem 0;border-bottom:1px solid var(--rule);text-align:left;
vertical-align:top}thead th{border-bottom:1.5px solid var(--soft);font-weight:600;vertical-align:bottom}tbody th{font-weight:400;overflow-wrap:break-word;max-width:20rem}
td{overflow-wrap:break-word;max-width:34rem}tbody th{min-width:7.5rem}td small{display:block;color:var(--soft);font-size:.82em}.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}tr.chosen th,tr.chosen td{font-weight:600}
.note{color:var(--soft);font-size:.85rem;margin:.2rem 0 1rem}.scans{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13.5rem),1fr));gap:1rem 1.2rem;align-items:start}.scans img{max-width:100%;height:auto;display:block}.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:1rem 2rem}
.compounds{display:grid;grid-template-columns:repeat(auto-fill,minmax(14.5rem,1fr));gap:1px;background:var(--rule);border:1px solid var(--rule);margin:.6rem 0}
.compounds figure{margin:0;padding:.6rem .8rem .8rem;background:var(--ground)}.compounds figcaption{font-size:.82rem;line-height:1.45;overflow-wrap:anywhere}
.compounds .line{display:block}.compounds code{font-size:.72rem;color:var(--soft)}.compounds.cliff{grid-template-columns:1fr 9rem 1fr;max-width:52rem}
.exchange{background:var(--ground);display:flex;flex-direction:column;justify-content:center;align-items:center;text-align:center;padding:.4rem}.exchange p{margin:.2rem 0;font-size:.82rem;color:var(--soft)}
svg.part{width:8rem;height:auto;display:block}span.part{display:inline-block;padding:.6rem 1rem;font-weight:600}table.exchanges td,table.exchanges th{vertical-align:middle}
.key{max-width:20rem;margin:.2rem 0 1.2rem}.key svg{width:100%;height:auto}
figure{margin:.8rem 0}figure svg{width:100%;height:auto;max-width:40rem;display:block}figure.wide svg{max-width:52rem}
figcaption{font-size:.88rem;color:var(--soft);max-width:40rem}figcaption strong{color:var(--ink)}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--c1)}code,pre{font:.85em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--raised);padding:.8rem 1rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;max-width:60rem}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;margin:.6rem 0}dl.facts dt{color:var(--soft)}dl.facts dd{margin:0}
@media screen and (max-width:40rem){.compounds.cliff{grid-template-columns:1fr}header,main,footer{padding-left:1rem;padding-right:1rem}td:last-child:not(.num){min-width:15rem}ul{padding-left:1.3rem}
figure.wide{overflow-x:auto}figure.wide svg{min-width:40rem}figure.wide figcaption{position:sticky;left:0}}
footer{color:var(--soft);font-size:.85rem;padding-top:2rem;padding-bottom:3rem}.ask{color:var(--unsure)}.id{white-space:nowrap}
@media print{details::details-content{content-visibility:visible;block-size:auto}:root{--ground:#fff;--raised:#f3f3f3;--ink:#000;--soft:#444;--rule:#bbb;--c1:#1f5a8a;--c2:#a34a00;--c3:#1d6b57;--c4:#7a3b78;--c5:#6a5a10;
--good:#1d6b42;--bad:#a6262b;--unsure:#7d5600;--goodground:#fff;--badground:#fff;--unsureground:#fff}
body{font-size:10pt}nav,.skip{display:none}header,main,footer{max-width:none;padding-left:0;padding-right:0}h1{font-size:20pt}h2{font-size:14pt;break-after:avoid}
h3{break-after:avoid}figure,tr,.seal,.answer,.box{break-inside:avoid}.scroll{overflow:visible}table{font-size:8.5pt}thead{display:table-header-group}
.pictures{grid-template-columns:1fr 1fr}@page{size:A4;margin:16mm}}
"""


def _one_line(text: str) -> str:
    return text.replace("\n", "")


#: For the page.
PAGE = Html(_one_line(_COLOURS + _PICTURE + _PAGE))
#: For a picture that stands alone.
PICTURE = Html(_one_line(_COLOURS + _PICTURE))
