//! The timeline as one self-contained page.

use counterfoil_wallet::amounts::format_number;
use counterfoil_wire::{Amount, Currency};
use maud::{DOCTYPE, PreEscaped, html};

use super::{Report, Told};

const STYLE: &str = "
:root{--ink:#1d2430;--soft:#667085;--line:#d9dee7;--paper:#fff;--off:#f3efe6;--good:#1c7c4a;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#98a2b3;--line:#344054;--paper:#151a22;--off:#221f18;
--good:#5bd08f;--bad:#ff8a80}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}
ol{list-style:none;padding:0;border-left:3px solid var(--line)}
li{padding:.4rem 1rem;margin:0}li.off{background:var(--off)}li b{display:block}
li.off b::after{content:' offline';font-weight:400;color:var(--soft);font-size:.85rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}
footer{color:var(--soft);margin-top:2rem;font-size:.9rem}";

fn number(minor: u64, currency: Currency) -> String {
    Amount::new(minor).map_or_else(|| minor.to_string(), |amount| format_number(amount, currency))
}

/// The page.
pub fn render(report: &Report, told: &[Told], broken: &[String]) -> String {
    let currency = report.currency;
    let supply = &report.supply;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { "Counterfoil: one story" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Counterfoil: one story, told by the real thing" }
                p { "A sandbox with play money. Steps on tinted ground happened while the operator's process was dead." }
                h2 { "Timeline" }
                ol {
                    @for (index, step) in told.iter().enumerate() {
                        li.off[!step.online] {
                            b { (index + 1) ". " (step.title) }
                            (step.lines.join(" "))
                        }
                    }
                }
                h2 { "Both halves of every payment" }
                div.scroll { table {
                    thead { tr {
                        th { "from" } th { "to" } th.n { "amount" } th { "payer's half" } th { "payee's half" }
                        th { "came to rest" } th.n { "bytes" }
                    } }
                    tbody { @for line in &report.payments {
                        tr {
                            td { (line.from) } td { (line.to) }
                            td.n { (number(line.amount, currency)) }
                            td { (line.payer_half) } td { (line.payee_half) }
                            td { (line.state) } td.n { (line.bytes.payment) }
                        }
                    } }
                } }
                h2 { "Wallets at the end" }
                div.scroll { table {
                    thead { tr { th { "name" } th { "grade" } th { "algorithm" } th.n { "balance" } th { "" } } }
                    tbody { @for line in &report.wallets {
                        tr {
                            td { (line.name) } td { (line.grade) } td { (line.alg) }
                            td.n { (number(line.balance, currency)) }
                            td.bad { @if report.revoked.contains(&line.name) { "revoked" } }
                        }
                    } }
                } }
                h2 { "The books" }
                p {
                    "funded " (number(supply.funded, currency)) " − defunded " (number(supply.defunded, currency))
                    " + loss " (number(supply.loss, currency)) " = offline " (number(supply.offline, currency))
                    " + in flight " (number(supply.in_flight, currency)) ": "
                    @if report.conserved { strong.good { "balanced" } } @else { strong.bad { "not balanced" } }
                }
                @for what in broken { p.bad { "Promise broken: " (what) } }
                footer {
                    "Summed by an auditor from the wallets' own states and the rail's accounts. "
                    (report.forks) " wallet proven to have forked. " (report.seconds) " seconds."
                }
            }
        }
    };
    page.into_string()
}
