//! The entities that the newest snapshot asks for.
//!
//! Pure. A snapshot comes with every fetch and seldom changes them, so it is compared before
//! anything is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::HomeAssistantSettings;
use super::document::{AnnouncedEntity, EntityPlace};
use super::entity::EntityShape;
use crate::domain::reading::UpstreamLabels;
use crate::domain::snapshot::Snapshot;

/// The entities of the newest snapshot.
#[derive(Default)]
pub struct WantedEntities {
    shapes: Vec<EntityShape>,
    labels: Arc<UpstreamLabels>,
    pub entities: BTreeMap<EntityPlace, AnnouncedEntity>,
    pub have_all_answered: bool,
}

impl WantedEntities {
    /// Whether a snapshot changes what is wanted.
    pub fn update(&mut self, settings: &HomeAssistantSettings, snapshot: &Snapshot) -> bool {
        let keys = &settings.keys;
        let is_chosen = |key: &str| keys.is_empty() || keys.iter().any(|it| it.matches(key));
        let chosen = || snapshot.records.iter().filter(|it| is_chosen(&it.key));
        let mut sources = snapshot.sources.iter();
        let have_all_answered = sources.all(|it| it.health.last_success.is_some());
        let mut known = self.shapes.iter();
        let is_same = have_all_answered == self.have_all_answered
            && Arc::ptr_eq(&self.labels, &snapshot.upstream_labels)
            && chosen().all(|record| known.next().is_some_and(|shape| shape.is_of(record)))
            && known.next().is_none();
        if is_same {
            return false;
        }
        self.have_all_answered = have_all_answered;
        self.labels = snapshot.upstream_labels.clone();
        self.shapes = chosen().map(EntityShape::of).collect();
        let plan = settings.plan.with_upstream_labels(&self.labels);
        self.entities = settings.names.entities(&plan, &self.shapes);
        true
    }
}
