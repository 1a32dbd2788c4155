/** The page's whole style. System fonts; colours by role, once for light and once for dark. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fbfaf5; --card: #ffffff; --ink: #23271e; --quiet: #5d6455; --line: #e3e1d4; --rule: #c9c7b8;
  --accent: #56702a; --soft: #edf1e0; --peak: #ad4308; --peak-soft: #fbe6cf; --good: #2f6b2b; --bad: #a8281e;
  --input: #a9cbe6; --value: #c2d69a; --output: #e2b4d3; --scratch: #d8d3c4; --line-buffer: #93cfc1; --state: #c4bde8; --edge: #5f7142; --value2: #dbe6bd; --bar: #9cb568; --bar2: #8db2d1; --bar3: #c9b489; --bar4: #dd9a55; }
@media (prefers-color-scheme: dark) { :root { --paper: #171a14; --card: #1f231b; --ink: #e9ebe1; --quiet: #a5ac99; --line: #32372b; --rule: #4a5040;
  --accent: #b6cf80; --soft: #29301f; --peak: #f5a35a; --peak-soft: #4a3016; --good: #93cf83; --bad: #f39a8c;
  --input: #2f5878; --value: #4c6428; --output: #7a3f69; --scratch: #57533f; --line-buffer: #2b6a5e; --state: #50488a; --edge: #a3b584; --value2: #38491f; --bar: #6f8b3c; --bar2: #4d7ea3; --bar3: #857349; --bar4: #b0682a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; -webkit-text-size-adjust: 100%; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 clamp(16px, 4vw, 40px); }
header { padding-top: clamp(24px, 5vw, 56px); }
.mark { display: flex; align-items: center; gap: .5em; color: var(--quiet); font-size: .875rem; margin: 0; }
.mark svg { width: 1.5em; height: 1.5em; flex: none; }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.5rem); line-height: 1.15; letter-spacing: -.02em; margin: .35em 0 .2em; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; letter-spacing: -.01em; margin: 0 0 .35em; }
section { margin-top: clamp(36px, 5vw, 56px); }
p { margin: 0 0 .9em; max-width: 75ch; }
.lead { font-size: 1.1rem; }
.quiet, caption, footer { color: var(--quiet); }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .25em 1.1em; font-size: .9rem; margin-top: 1em; }
a { color: var(--accent); text-underline-offset: .2em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.ports { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .35em 1em; margin: 1em 0 0; font-size: .95rem; }
.ports dt { color: var(--quiet); } .ports dd { margin: 0; overflow-wrap: anywhere; } .free { white-space: pre-wrap; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 215px), 1fr)); gap: 12px; margin: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.card:first-child { border-color: var(--accent); box-shadow: inset 0 3px 0 var(--accent); }
@media (min-width: 520px) { .card:first-child { grid-column: span 2; } }
@media (max-width: 519px) { .cards { grid-template-columns: 1fr 1fr; gap: 8px; } .card:first-child { grid-column: span 2; } .card { padding: 10px 12px; } .card:not(:first-child) strong { font-size: 1.35rem; } .badge { font-size: .68rem; } }
.card dt { display: flex; justify-content: space-between; align-items: center; font-size: .9rem; color: var(--quiet); }
.card dd { margin: 0; } .card strong { display: block; font-size: 1.75rem; line-height: 1.25; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.card dd span { display: block; font-size: .82rem; line-height: 1.4; color: var(--quiet); }
.badge { font-size: .72rem; line-height: 1; padding: .3em .55em; border-radius: 99px; background: var(--soft); color: var(--accent); }
.badge.estimated { background: var(--peak-soft); color: var(--peak); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 10px 14px 2px; font-size: .82rem; }
th, td { padding: 7px 14px; text-align: left; vertical-align: top; border-top: 1px solid var(--line); font-weight: 400; }
thead th { border-top: 0; color: var(--quiet); font-size: .82rem; white-space: nowrap; border-bottom: 1px solid var(--rule); }
tbody tr:first-child > * { border-top: 0; } tbody tr:hover > * { background: var(--soft); }
td { white-space: nowrap; } td:last-child:not(.num) { white-space: normal; min-width: 12em; }
th b { font-weight: 600; } .num { text-align: right; }
.name { display: block; max-width: 21em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--quiet); font-size: .8rem; }
.step { float: left; min-width: 1.7em; margin-right: .5em; color: var(--quiet); text-align: right; } .step ~ .name { padding-left: 2.42em; } .step ~ b { white-space: nowrap; }
.layers tbody th { min-width: 13.5em; white-space: nowrap; }
.layers .name { max-width: 19em; }
.peak-row .step { color: var(--peak); font-weight: 700; }
.dim { color: var(--quiet); }
.bar { display: block; height: 4px; margin-top: 4px; min-width: 72px; border-radius: 2px; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; min-width: 2px; border-radius: 2px; background: var(--bar); }
.bar.weights i { background: var(--bar2); } .bar.outputs i { background: var(--bar3); } .bar.instructions i { background: var(--bar4); } .bar.over i { background: var(--bad); }
.verdict { font-weight: 600; white-space: nowrap; } .good { color: var(--good); } .bad { color: var(--bad); }
.memory { margin: 0; } .memory .scroll { padding: 30px 28px 8px 0; }
.legend { display: flex; flex-wrap: wrap; gap: .25em 1.2em; list-style: none; padding: 0; margin: 0 0 .7em; font-size: .85rem; color: var(--quiet); }
.legend li { display: flex; align-items: center; gap: .45em; } .legend i { width: .95em; height: .95em; border-radius: 3px; border: 1px solid var(--rule); }
.plot { display: grid; grid-template-columns: 76px minmax(0, 1fr); grid-template-rows: clamp(260px, 44vw, 440px) 52px auto; row-gap: 6px; }
.y { position: relative; font-size: .75rem; color: var(--quiet); font-variant-numeric: tabular-nums; }
.y span { position: absolute; right: 8px; transform: translateY(50%); white-space: nowrap; }
.y .top { font-weight: 700; color: var(--ink); } .x .top { font-weight: 700; color: var(--peak); }
.area { position: relative; border-left: 1px solid var(--rule); border-bottom: 1px solid var(--rule); border-top: 1px dashed var(--rule); }
.arena, .strip { display: block; width: 100%; height: 100%; }
.strip { border-left: 1px solid transparent; border-bottom: 1px solid var(--rule); }
.strip-title { font-size: .75rem; color: var(--quiet); text-align: right; padding-right: 8px; align-self: center; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.peak-column { fill: var(--peak-soft); }
.block { stroke: var(--edge); stroke-width: 1; vector-effect: non-scaling-stroke; fill-opacity: .82; cursor: default; transition: opacity .12s; }
.k-input { fill: var(--input); background: var(--input); } .k-value { fill: var(--value); background: var(--value); } .block.k-value.odd { fill: var(--value2); } .k-output { fill: var(--output); background: var(--output); }
.k-scratch { fill: var(--scratch); background: var(--scratch); } .k-state { fill: var(--state); background: var(--state); } .k-peak { background: var(--peak-soft); outline: 1.5px solid var(--peak); }
.k-line { fill: var(--line-buffer); background: var(--line-buffer); } .stage { fill: var(--soft); } .k-stage { background: var(--soft); }
.peak-frame { fill: none; stroke: var(--peak); stroke-width: 2; stroke-dasharray: 5 4; vector-effect: non-scaling-stroke; pointer-events: none; }
.use { fill: var(--bar); } .use.peak { fill: var(--peak); }
.pointed .block { opacity: .45; } .pointed .block.on { opacity: 1; fill-opacity: 1; stroke: var(--ink); stroke-width: 2; } .use.on { fill: var(--ink); }
.labels { position: absolute; inset: 0; pointer-events: none; }
.labels span { position: absolute; display: flex; flex-direction: column; justify-content: center; padding: 0 3px; overflow: hidden; text-align: center; line-height: 1.2; font-size: .75rem; }
.labels em { position: absolute; bottom: calc(100% + 5px); transform: translateX(-50%); font-style: normal; font-size: .75rem; font-weight: 700; color: var(--peak); white-space: nowrap; }
.labels b { font-weight: 600; font-size: .72rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .labels small { font-size: .7rem; white-space: nowrap; overflow: hidden; }
.x { grid-column: 2; position: relative; height: 2.7em; font-size: .75rem; color: var(--quiet); }
.x span { position: absolute; text-align: center; overflow: visible; } .x small { display: block; font-size: .68rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 400; padding: 0 2px; }
.readout { margin: .6em 0 0; min-height: 3em; font-size: .9rem; color: var(--quiet); overflow-wrap: anywhere; } .pointed .readout { color: var(--ink); }
details { margin-top: .6em; } summary { cursor: pointer; color: var(--accent); font-size: .9rem; margin-bottom: .5em; }
footer { margin-top: 56px; padding-bottom: 40px; font-size: .85rem; }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #ddd; --rule: #999; --accent: #3f5420; --soft: #eef1e4; --peak: #a23d06; --peak-soft: #fbe6cf; --good: #1f5a1b; --bad: #9c1f16;
  --input: #a9cbe6; --value: #c2d69a; --output: #e2b4d3; --scratch: #d8d3c4; --line-buffer: #93cfc1; --state: #c4bde8; --edge: #5f7142; --value2: #dbe6bd; --bar: #9cb568; --bar2: #8db2d1; --bar3: #c9b489; --bar4: #dd9a55; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } html { font-size: 11px; } body { font-size: 1rem; } nav, .readout, details { display: none; }
  main, header, footer { max-width: none; padding: 0; } section { margin-top: 22px; } .scroll { overflow: visible; } .plot { min-width: 0 !important; grid-template-rows: 300px 40px auto; }
  tr, .card, figure { break-inside: avoid; } h2 { break-after: avoid; } th, td { padding: 3px 6px; } .cards { grid-template-columns: repeat(4, 1fr); } .card strong { font-size: 1.5rem; } }
`;
