//! Whether both ways find the same disagreements between responses and their schemas.

use openapi::operation::Operation;
use openapi::schema::{Schema, Validator};
use serde_json::Value;

use super::structure::compared;
use super::values::{Choice, spoil, value};
use super::{Depth, Tally};

/// The first difference, over every declared response.
pub fn difference(
    compiled: &'static Operation,
    lowered: &'static Operation,
    depth: Depth,
    tally: &mut Tally,
) -> Option<String> {
    let pairs = compiled.responses.iter().zip(&lowered.responses);
    pairs.into_iter().find_map(|(left, right)| {
        let schemas = [left.schema.get(), right.schema.get()];
        let found = difference_of_documents(schemas, depth, tally)?;
        Some(format!("response {}: {found}", left.status))
    })
}

fn difference_of_documents(
    schemas: [&'static Schema; 2],
    depth: Depth,
    tally: &mut Tally,
) -> Option<String> {
    let (places, ways) = depth.spoiling();
    let picks: &[(bool, usize)] = match depth {
        Depth::Every => &[(false, 0), (true, 0), (true, 1)],
        Depth::Some => &[(true, 2)],
    };
    let mut found = None;
    for (is_full, pick) in picks {
        let choice = Choice {
            is_full: *is_full,
            pick: *pick,
        };
        let document = value(schemas[0], choice);
        let mut judge = |document: &Value, place: &str| {
            let validator = Validator {
                numbers_as_text: tally.judgements.is_multiple_of(2),
                ..Validator::default()
            };
            let said = schemas.map(|schema| validator.validate(schema, document));
            tally.judgements += 1;
            let is_fitting = said[0].is_empty();
            if said[0] != said[1] && found.is_none() {
                let what = format!("judgement of a document spoiled at {place:?}");
                found = Some(compared(&what, &said[0], &said[1]));
            }
            is_fitting
        };
        let is_fitting = judge(&document, "nowhere");
        spoil(&document, places, ways, &mut |document, place| {
            judge(document, place);
        });
        tally.documents += 1;
        tally.fitting += usize::from(is_fitting);
    }
    found
}
