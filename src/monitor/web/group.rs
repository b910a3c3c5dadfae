//! Group page: all values under one heading of the overview.

use super::PageContext;
use super::grouping;
use super::layout::{self, Page, Part};
use super::overview::{PageSpace, group_age, group_values};
use crate::domain::percent;
use crate::monitor::problem::{ProblemDetails, unknown_name_problem};
use maud::html;

pub fn page(view: &PageContext, name: &str) -> Result<Page, ProblemDetails> {
    let group = grouping::group(view.plan, view.snapshot, name);
    let group = group.ok_or_else(|| {
        let arranged = grouping::arrange(view.plan, view.snapshot);
        let names = arranged.groups.iter().map(|group| group.name);
        unknown_name_problem("group", name, names, |name| {
            format!("/web/group/{}", percent::encode(name))
        })
    })?;
    let mut space = PageSpace {
        tiles: usize::MAX,
        lines: usize::MAX,
    };
    let values = html! {
        h1 { (group.name) " " (group_age(view, &group)) }
        @if group.records().is_empty() { p class="quiet" { "No values yet." } }
        (group_values(view, &group, &mut space))
    };
    Ok(Page {
        title: name.to_owned(),
        parts: vec![
            layout::status_section(view, name),
            Part::live("values", values),
        ],
        has_own_heading: true,
    })
}
