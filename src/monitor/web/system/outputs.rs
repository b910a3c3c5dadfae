//! Outputs: where data is sent, and whether it arrives.

use maud::{Markup, html};

use crate::domain::output_state::OutputState;
use crate::domain::text::human_duration;
use crate::monitor::format::sanitize;
use crate::monitor::web::PageContext;

/// Nothing where no output is configured.
pub fn outputs(view: &PageContext) -> Markup {
    html! {
        @if !view.outputs.is_empty() {
            h2 { "Outputs" }
            table {
                thead {
                    tr {
                        th scope="col" { "Output" }
                        th scope="col" { "Receiver" }
                        th scope="col" { "State" }
                        th scope="col" class="figure" { "Sent" }
                        th scope="col" class="figure" { "Waiting" }
                    }
                }
                tbody { @for output in view.outputs { (row(view, output)) } }
            }
        }
    }
}

fn row(view: &PageContext, output: &OutputState) -> Markup {
    html! {
        tr {
            th scope="row" { (output.name) }
            td data-label="Receiver" { (sanitize(&output.destination)) }
            td data-label="State" { (state(view, output)) }
            td data-label="Sent" class="figure" { (output.sent) }
            td data-label="Waiting" class="figure" {
                @match output.waiting {
                    Some(waiting) => (waiting),
                    None => "–",
                }
            }
        }
    }
}

fn state(view: &PageContext, output: &OutputState) -> Markup {
    let name = output.name_of_state();
    html! {
        @match &output.failure {
            Some(failure) => {
                span class="badge fail" { (name) } " "
                span class="why" {
                    (sanitize(&failure.why)) ", for " (human_duration(view.now.mono.since(failure.since)))
                }
            },
            None if output.is_connected => span class="badge pass" { (name) },
            None => span class="badge wait" { (name) },
        }
        @if output.dropped > 0 { " " span class="why" { (output.dropped) " dropped" } }
        @if let Some(note) = &output.note { " " span class="why" { (sanitize(note)) } }
    }
}
